// SPDX-License-Identifier: Apache-2.0
// Comparing two sets of named tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/backend.hpp"

namespace onnxport {

/// How one output differs from what was expected.
struct Difference {
  std::string output;
  double max_abs = 0;  ///< the largest absolute difference of finite elements
  double max_rel = 0;  ///< the largest difference relative to the expected value
  std::vector<int64_t>
      worst_index;                  ///< where max_abs is, or the first element that is NaN or infinite on one side only
  double expected = 0, actual = 0;  ///< the values there
  int64_t elements = 0, mismatches = 0;
  bool finite = true;  ///< no NaN or infinity on either side
  bool passes = false;
  std::string problem;  ///< a missing output, another shape or type, NaN: in words; else empty. NaN on both sides
                        ///< passes, and is told
};

/// One difference an expected output, in order of name. An element passes where |a - e| ≤ atol + rtol · |e|, and where
/// both are the same infinity or both are NaN. Floats of different widths compare; else the types must be equal.
std::vector<Difference> compare(const Tensors& expected, const Tensors& actual, double atol, double rtol = 0);

}  // namespace onnxport

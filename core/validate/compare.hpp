// SPDX-License-Identifier: Apache-2.0
// Comparing two sets of named tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"

namespace onnxport {

/// How one output differs from what was expected.
struct Difference {
  std::string output;
  double max_abs = 0;   ///< the largest absolute difference of finite elements
  double max_rel = 0;   ///< the largest difference relative to the expected value
  double mean_abs = 0;  ///< over finite elements
  double cosine = 1;    ///< of the angle between the two, over finite elements; 1 where one of them is all zeros
  /// Of logits (is_logits): the share of rows whose best class is the same, and whose best five are, in any order.
  std::optional<double> same_best{}, same_best_five{};
  std::vector<int64_t>
      worst_index;                  ///< where max_abs is, or the first element that is NaN or infinite on one side only
  double expected = 0, actual = 0;  ///< the values there
  int64_t elements = 0, mismatches = 0;
  bool finite = true;    ///< no NaN or infinity on either side
  bool has_nan = false;  ///< on either side
  bool passes = false;
  bool has_other_shape = false;
  std::string problem;  ///< a missing output, another shape or type, NaN: in words; else empty. NaN on both sides is
                        ///< told, and passes unless the tolerance says otherwise
};

/// Whether the output holds a number for each class, by the names that such outputs have: "logits", "start_logits".
bool is_logits(const std::string& output);

/// What still counts as equal: |a - e| ≤ absolute + relative · |e| + of_largest · max|e|, the last over the output.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
  /// Sums are off by a part of what is summed and not of what comes out: most in 16 bits.
  double of_largest = 0;
  /// Whether NaN and infinity never pass, since nobody recorded them as what the model says.
  bool only_finite = false;
};
/// What numpy.allclose, and so transformers.onnx, allows of each value besides the absolute tolerance.
inline constexpr double usual_relative = 1e-5;

/// An element that differs by more than the tolerance.
struct DifferingValue {
  std::vector<int64_t> index;
  double expected = 0, actual = 0;
};
/// The first few of them, of tensors of one shape.
std::vector<DifferingValue> differing_values(const ir::Tensor& expected, const ir::Tensor& actual,
                                             const Tolerance& tolerance, size_t most);

/// One difference an expected output, in order of name. An element passes where it is within the tolerance, and where
/// both are the same infinity or both are NaN, unless the tolerance wants finite numbers only. Floats of different
/// widths compare; else the types must be equal.
std::vector<Difference> compare(const Tensors& expected, const Tensors& actual, const Tolerance& tolerance);
inline std::vector<Difference> compare(const Tensors& expected, const Tensors& actual, double atol, double rtol = 0) {
  return compare(expected, actual, Tolerance{.absolute = atol, .relative = rtol});
}

}  // namespace onnxport

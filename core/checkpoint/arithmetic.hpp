// SPDX-License-Identifier: Apache-2.0
// Loops that compute with a tensor's elements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/checkpoint/weight.hpp"

namespace onnxport {

/// Whether elements of the type are computed with: floats of 16 and 32 bits, which are computed in f32 and rounded, and
/// integers of 32 and 64.
bool can_compute(ir::DType dtype);

struct Operation {
  Arithmetic how;
  bool reversed = false;  // the other element is the left operand
};
/// target[i] with other[i], in place. Throws Error(checkpoint) for types that are not computed with, and where an
/// integer is divided by 0.
void combine_elements(ir::DType dtype, const Operation& operation, std::byte* target, const std::byte* other,
                      uint64_t count);

/// A function (Apply or InverseRoot) of each element, in place. Of floats alone; throws Error(checkpoint) for others.
void apply_to_elements(ir::DType dtype, const Transform& function, std::byte* target, uint64_t count);

}  // namespace onnxport

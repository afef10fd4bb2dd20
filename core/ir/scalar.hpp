// SPDX-License-Identifier: Apache-2.0
// Numbers as tensors of one element.
#pragma once

#include "core/tensor/tensor.hpp"

namespace onnxport::ir {

/// What bounds finite numbers in a floating type. In 16 bits it is the number beside the largest, for the reason that
/// masked_score has: a mask's "never" becomes the lowest that is still a number to everybody.
double bound_of(DType dtype);

/// A scalar of f32, f16, bf16 or f64. A finite number beyond the type's range becomes its bound and no infinity, which
/// in a mask gives NaN. Throws Error(internal) for other types.
Tensor float_scalar(double value, DType dtype);

/// The same of any type: in an integer one the number loses its fraction, and beyond the range becomes the type's
/// bound; as a bool it is whether it is not 0. Throws Error(internal) for types of 8-bit floats.
Tensor scalar(double value, DType dtype);

}  // namespace onnxport::ir

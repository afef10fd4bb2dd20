// SPDX-License-Identifier: Apache-2.0
// Constants of f32 in a type of 16 bits, which may not have all of their numbers.
#pragma once

#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Whether a constant of f32 holds numbers that the type does not have.
bool is_beyond(const ir::Tensor& constant, ir::DType dtype);
/// A constant of f32 in the type: finite numbers that it does not have become its lowest or largest one.
ir::Tensor bounded_as(const ir::Tensor& constant, ir::DType dtype);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What stands at padded places means nothing: two right models may differ there.
#pragma once

#include "core/definition/onnx_config.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Zeroes the rows of padded places, so that they compare equal: axis 0 is the batch, axis `axis` the places from
/// `begin` of the mask i64[batch, places] on.
void blank_padding(ir::Tensor& tensor, size_t axis, const ir::Tensor& mask, int64_t begin);

/// The same for all outputs of a definition that hold something for each place of a mask among its inputs, or for the
/// last of them.
Tensors without_padding(Tensors outputs, const Definition& definition, const Tensors& inputs);

}  // namespace onnxport

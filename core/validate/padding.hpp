// SPDX-License-Identifier: Apache-2.0
// What stands at padded places means nothing: two right models may differ there.
#pragma once

#include <memory>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Zeroes the rows of padded places, so that they compare equal: axis 0 is the batch, axis `axis` the places from
/// `begin` of the mask i64[batch, places] on.
void blank_padding(ir::Tensor& tensor, size_t axis, const ir::Tensor& mask, int64_t begin);

/// What becomes of a padded place that holds NaN or infinity: it is blank as well, or stays, so that it is found.
enum class NotFinite { blank, kept };

/// The same for all outputs of a definition that hold something for each place of a mask among its inputs, or for the
/// last of them.
Tensors without_padding(Tensors outputs, const Definition& definition, const Tensors& inputs,
                        NotFinite not_finite = NotFinite::blank);

/// A model of which without_padding() is looked at. What it refers to outlives it.
std::unique_ptr<Runnable> unpadded(Runnable& model, const Definition& definition,
                                   NotFinite not_finite = NotFinite::blank);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/transform/values.hpp"

namespace onnxport {

/// What core/passes/norms_apart.hpp does for an export to fixed axes: a sum of two tensors of one known shape that only
/// a layer norm reads, as LayerNormalization or as what exporters before opset 17 wrote in its place, is Sum instead of
/// Add. `types` are those of the model.
void keep_norms_apart(ModelParts& model, const ValueTypes& types);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// Stores weights of f32 as f16 and computes in it what takes one, or a result of such; inputs and outputs stay as they
/// are. What loses too much stays in f32: by the rows of the table of operators, and operators that run-times have for
/// f32 alone. Throws Error(usage) for models below opset 13, for those of functions, and where the type of a value is
/// not known, as behind operators of other domains.
void to_half(ModelParts& model);

}  // namespace onnxport

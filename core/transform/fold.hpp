// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// Computes what depends on constants and on known shapes alone, as often as that tells of more shapes, and removes
/// nodes and initializers that are then without use. Of the main graph; graphs within it stay, and what they use.
/// Operators by the table of operators (ir::evaluate), of ONNX's own domain.
void fold_constants(ModelParts& model);

/// Removes nodes and initializers of the main graph that nothing uses, and what is said of values that are gone.
void remove_unused(ModelParts& model);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// What of a model is still open.
struct OpenLengths {
  size_t shapes = 0;  // Shape nodes
  size_t axes = 0;    // of inputs and outputs
};

/// Gives axes of the model's inputs a size, by their names or as "input_ids[1]", folds what becomes constant, and
/// removes what is then without use. Throws Error(usage) where there is no such axis, naming those there are, and where
/// shapes contradict each other with these sizes.
OpenLengths fix_axes(ModelParts& model, const std::map<std::string, int64_t>& sizes);

}  // namespace onnxport

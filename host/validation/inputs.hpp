// SPDX-License-Identifier: Apache-2.0
// The inputs on which an export is validated.
#pragma once

#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

/// Three sets of inputs that differ from each other in batch and sequence, two of them padded: the first is what
/// transformers.onnx uses. Lengths stay within the positions that the config allows. Images of a size that is free come
/// in three. `part` names the graph of a layout.
std::vector<ValidationInputs> validation_inputs(const OnnxConfig& config, const Json& model_config,
                                                const Preprocessor* preprocessor, const std::string& part = {});

}  // namespace onnxport

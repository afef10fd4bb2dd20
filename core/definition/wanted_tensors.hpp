// SPDX-License-Identifier: Apache-2.0
// What a checkpoint of a model holds, by the model's definition.
#pragma once

#include <vector>

#include "core/checkpoint/safetensors_writer.hpp"
#include "core/definition/onnx_config.hpp"

namespace onnxport {

/// Every tensor that any graph of the model asks for, by name, as of one type; with further outputs those that these
/// take as well. Errors as of OnnxConfig::define_parts.
std::vector<TensorPlan> tensors_of(const OnnxConfig& config, ir::DType dtype,
                                   const std::vector<std::string>& outputs = {});

}  // namespace onnxport

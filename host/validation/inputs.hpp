// SPDX-License-Identifier: Apache-2.0
// The inputs on which an export is validated.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

/// Which inputs: of a graph of a layout, with sizes of axes that the file fixes.
struct InputsWanted {
  std::string part{};
  std::map<std::string, int64_t> fixed{};
};

/// Three sets of inputs that differ from each other in batch and sequence, two of them padded: the first is what
/// transformers.onnx uses. Lengths stay within the positions that the config allows. Images of a size that is free come
/// in three.
std::vector<ValidationInputs> validation_inputs(const OnnxConfig& config, const Json& model_config,
                                                const Preprocessor* preprocessor, const InputsWanted& wanted = {});

}  // namespace onnxport

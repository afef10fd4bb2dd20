// SPDX-License-Identifier: Apache-2.0
// What became of each field of config.json in a run, and which axes the model has.
#pragma once

#include "core/definition/onnx_config.hpp"
#include "host/process/console.hpp"

namespace onnxport {

/// Of a model that was defined, so that all that it asks for is known.
struct ConfigUse {
  const OnnxConfig& onnx_config;
  const Json& config;
};

void print_text(const ConfigUse& use, Console& console);
void fill_json(const ConfigUse& use, Json& json);

}  // namespace onnxport

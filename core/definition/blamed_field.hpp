// SPDX-License-Identifier: Apache-2.0
// Whose mistake it is that a model cannot be defined: the plugin's, or that of a field of config.json.
#pragma once

#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"

namespace onnxport {

/// What was to be defined.
struct FailedModel {
  const PluginTable& plugin;
  const Json& config;  // as the checkpoint has it
  const OnnxConfig::Wanted& wanted;
};

/// Of an error that lays a failure to the plugin: defines the model again, each time with one field of the config left
/// out, so that the class's default stands for it. Where that makes a model, the error that names this field and what
/// it holds; otherwise the error as it is. Gives up after a few seconds.
Error blamed_on_field(const FailedModel& model, const Error& error);

}  // namespace onnxport

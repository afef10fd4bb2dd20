// SPDX-License-Identifier: Apache-2.0
// Which field of a config does what to the graph, found by changing it and defining the model again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"

namespace onnxport {

/// What became of a field of config.json.
enum class FieldUse {
  read,            ///< the plugin looked at what it says
  without_effect,  ///< the plugin knows it, and that it says nothing of this graph
  general,         ///< of training, generation and bookkeeping, whatever the model
  unread,          ///< nobody asked for it
};

struct FieldEffect {
  std::string name;
  Json value;
  FieldUse use = FieldUse::unread;
  Json tried;                        // another value that the plugin takes; null where it takes none of those tried
  std::vector<std::string> effects;  // of that value: "74 weights have other shapes", "12 other Attention nodes"
  std::string refusal;  // what the plugin says of a value that it does not take; empty where it took the first
};

struct ConfigEffects {
  std::vector<FieldEffect> fields;                      // in the file's order
  std::vector<std::string> defaulted;                   // asked for, and not in the file
  std::map<std::string, std::vector<int64_t>> weights;  // that the model asks for
};

/// A model of a plugin, as it is asked for.
struct AskedModel {
  const PluginTable& plugin;
  const Json& config;
  std::string model_type, feature;
};

/// Defines the model once for each field and value. Throws as OnnxConfig does where the config as it is cannot be
/// defined.
ConfigEffects effects_of_fields(const AskedModel& model);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What an OnnxConfig holds.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/components.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/misnamed.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/definition/plugin_object.hpp"
#include "core/definition/scores.hpp"
#include "core/definition/sentence_modules.hpp"

namespace onnxport {

/// It stays where it is: the plugin's object may keep what it was created with.
struct OnnxConfig::State {
  PluginTable plugin;
  std::string model_type;    // of the checkpoint
  std::string defined_type;  // what the plugin knows it as
  std::string feature;
  std::string defined_feature;  // that the plugin is asked for
  Json config, options;
  Json checkpoint_config;  // config.json as it is, where the plugin's names are others
  AskedFields asked_fields, asked_options;
  Misread misread;                               // of the config
  onnxport_config root, chosen;                  // config and options as the plugin sees them
  std::optional<detail::Components> components;  // stays until the plugin's object is gone, which may hold some
  std::optional<detail::PluginObject> object;
  std::map<std::string, Description> descriptions;  // by part; "" is the model as one graph
  std::optional<SentenceModules> sentence;
  std::optional<Scores> scores;
  std::vector<OutputSpec> defined_outputs;  // by the plugin, where one of these follows the model as one graph

  const Description& main() const { return descriptions.at(""); }
  /// Asks the plugin. Throws Error(plugin) where it describes no model.
  void describe(const std::string& part);
  /// Throws Error(usage) where the user chose something that the plugin did not ask for.
  void check_options() const;
  /// An error of the definition, or the names of an extension's fields that it follows from.
  Error explained(const Error& error) const;
};

}  // namespace onnxport

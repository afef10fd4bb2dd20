// SPDX-License-Identifier: Apache-2.0
// A config.json whose fields are called otherwise than the plugin that reads it has them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// What a config says in the names of another model type, and how messages are said in the user's again. A field within
/// a map goes by its path, "rope.theta".
struct ConfigNames {
  std::string extension;   ///< the id of the plugin that says this, for messages
  std::string model_type;  ///< of the checkpoint
  std::string base_type;   ///< the type that it stands for
  /// The checkpoint's field, and the plugin's. No field stands twice on either side.
  std::vector<std::pair<std::string, std::string>> fields;
  Json defaults = Json::object();  ///< of the plugin's fields: what they are where the checkpoint has none
  Json values = Json::object();    ///< of the plugin's fields: what they are whatever the checkpoint says

  /// The config as the plugin reads it. Throws Error(checkpoint) where a field would be there twice.
  Json applied_to(const Json& config) const;
  /// What the user calls a field of the plugin's.
  std::string own_name(const std::string& field) const;
  /// A message of the plugin's with the user's names of fields.
  std::string in_own_words(const std::string& message) const;
};

/// The value of a product or quotient of integer fields and numbers, from left to right: "num_heads*head_dim",
/// "3*hidden_size/2". Throws Error(checkpoint) where a field is missing or no integer, naming it as `names` has it, or
/// a division leaves a rest.
int64_t size_by_config(const std::string& expression, const Json& config, const ConfigNames& names);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What a plugin does about the fields that the original's config class has.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "registry/features_manager.hpp"

namespace onnxport {

/// A config class of the original, as scripts/record/fields.py wrote it.
struct ConfigClass {
  std::string model_type;
  std::string name;                                ///< "BertConfig"
  std::map<std::string, Json> versions;            ///< by the version of transformers: the fields with their defaults
  std::map<std::string, std::string> other_names;  ///< the class's attribute_map: another name, and the field
};

/// The classes in plugins/NAME/cases/fields.json. Throws where the file is not as it has to be.
std::vector<ConfigClass> config_classes(const std::filesystem::path& file);

/// What becomes of a type's fields in any of the versions.
struct FieldUses {
  std::set<std::string> read;            ///< changes what is exported
  std::set<std::string> without_effect;  ///< known to change nothing
  std::set<std::string> refused;         ///< "FIELD=VALUE", another value than the default that is not exported
  std::set<std::string> unread;          ///< nothing asked for it: a defect of the plugin
};

/// Asks the plugin for every feature of the type with the class's defaults, and with each switch turned the other way.
FieldUses uses_of_fields(const FeaturesManager& plugins, const Candidate& plugin, const ConfigClass& original);

}  // namespace onnxport

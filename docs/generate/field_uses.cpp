// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/field_uses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

/// What a type's plugin is asked with: a config as one version of the class writes it.
struct Question {
  const PluginTable& plugin;
  const Manifest::Model& model;
  const std::string& model_type;
  const std::string& version;

  OnnxConfig ask(const Json& fields, const std::string& feature) const {
    Json config = fields;
    config["model_type"] = model_type;
    config["transformers_version"] = version;
    return OnnxConfig::from_model_config(plugin, config, model_type, feature);
  }
  /// Nothing where the plugin refuses these fields.
  std::optional<OnnxConfig> ask_if_taken(const Json& fields, const std::string& feature) const {
    try {
      return ask(fields, feature);
    } catch (const Error&) {
      return std::nullopt;
    }
  }
};

/// What the features ask for with these fields, together; some of it only when the graph is defined. A feature that a
/// model of these fields does not have, such as a past of one that looks both ways, asks for nothing.
AskedFields asked_by(const Question& question, const Json& fields) {
  AskedFields all;
  const auto add = [&all](const OnnxConfig& config) {
    for (const auto& [name, looked_at] : config.asked_fields()) all[name] |= looked_at;
  };
  std::vector<OnnxConfig> configs;
  for (const std::string& feature : question.model.features) {
    if (configs.empty())
      configs.push_back(question.ask(fields, feature));
    else if (std::optional<OnnxConfig> config = question.ask_if_taken(fields, feature))
      configs.push_back(std::move(*config));
  }
  for (const OnnxConfig& config : configs) add(config);
  if (unread_fields(fields, all).empty()) return all;
  for (const OnnxConfig& config : configs) {
    WeightSource any;
    config.define(any);
    add(config);
  }
  return all;
}

void add_uses(const Question& question, const Json& fields, FieldUses& uses) {
  const AskedFields asked = asked_by(question, fields);
  for (std::string& field : unread_fields(fields, asked)) uses.unread.insert(std::move(field));
  for (const auto& [field, value] : fields.items()) {
    const auto found = asked.find(field);
    if (found != asked.end()) (found->second ? uses.read : uses.without_effect).insert(field);
    if (!value.is_boolean()) continue;
    Json turned = fields;
    turned[field] = !value.get<bool>();
    if (!question.ask_if_taken(turned, question.model.features.front()))
      uses.refused.insert(fmt::format("{}={}", field, turned[field].dump()));
  }
}

/// Fields that are written under another name and are not found there.
void add_unread_names(const Question& question, const Json& fields, const ConfigClass& original, FieldUses& uses) {
  for (const auto& [other, field] : original.other_names) {
    if (!fields.contains(field)) continue;
    Json renamed = fields;
    renamed[other] = renamed[field];
    renamed.erase(field);
    const std::vector<std::string> unread = unread_fields(renamed, asked_by(question, renamed));
    if (std::find(unread.begin(), unread.end(), other) != unread.end())
      uses.unread.insert(fmt::format("{} (as {})", field, other));
  }
}

}  // namespace

std::vector<ConfigClass> config_classes(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(file.string() + " is not there; scripts/record/fields.py writes it");
  std::vector<ConfigClass> classes;
  for (const Json& entry : Json::parse(in)) {
    ConfigClass& made = classes.emplace_back();
    entry.at("model_type").get_to(made.model_type);
    entry.at("class").get_to(made.name);
    for (const auto& [version, fields] : entry.at("versions").items()) made.versions[version] = fields;
    entry.at("other_names").get_to(made.other_names);
  }
  return classes;
}

FieldUses uses_of_fields(const FeaturesManager& plugins, const Candidate& plugin, const ConfigClass& original) {
  const Manifest::Model* model = plugin.manifest.model(original.model_type);
  if (model == nullptr)
    throw std::runtime_error(fmt::format("{} does not serve {}", plugin.manifest.id, original.model_type));
  const PluginTable loaded = plugins.table_of(plugin);
  FieldUses uses;
  for (const auto& [version, fields] : original.versions) {
    const Question question{loaded, *model, original.model_type, version};
    add_uses(question, fields, uses);
    add_unread_names(question, fields, original, uses);
  }
  for (const std::string& field : uses.read) uses.without_effect.erase(field);
  for (const Manifest::KnownGap& gap : model->known_gaps) {
    if (!gap.option.empty()) uses.refused.insert(gap.option);
  }
  return uses;
}

}  // namespace onnxport

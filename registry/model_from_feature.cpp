// SPDX-License-Identifier: Apache-2.0
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "registry/features_manager.hpp"
#include "registry/loader.hpp"
#include "registry/recognised.hpp"

namespace onnxport {

std::shared_ptr<const ConfigNames> FeaturesManager::Supported::config_names() const {
  if (!candidate->manifest.is_extension()) return nullptr;
  auto names = std::make_shared<ConfigNames>(candidate->manifest.config_names);
  names->model_type = model->types.at(0);
  names->base_type = model_type;
  return names;
}

std::vector<NameRule> FeaturesManager::Supported::name_rules(const Json& config) const {
  std::vector<NameRule> rules;
  if (!candidate->manifest.is_extension()) return rules;
  const std::shared_ptr<const ConfigNames> names = config_names();
  const Json read = names->applied_to(config);
  for (const Manifest::WeightName& rule : candidate->manifest.weight_names) {
    NameRule& made = rules.emplace_back(NameRule{rule.from, rule.to, rule.axis});
    for (const std::string& size : rule.sizes) made.sizes.push_back(size_by_config(size, read, *names));
    if (!rule.groups.empty()) made.groups = size_by_config(rule.groups, read, *names);
  }
  return rules;
}

std::vector<std::string> FeaturesManager::Supported::outputs() const {
  std::vector<std::string> steps;
  for (const auto& [named, more] : candidate->manifest.outputs) {
    if (candidate->manifest.feature_of(named) == feature) steps.insert(steps.end(), more.begin(), more.end());
  }
  return steps;
}

PluginTable FeaturesManager::table_of(const Supported& supported) const {
  PluginTable table = table_of(*supported.candidate);
  table.names = supported.config_names();
  table.features = supported.model->features;
  return table;
}

PluginTable FeaturesManager::table_of(const Candidate& candidate) const {
  const LoadedPlugin& plugin = load(candidate, plugin_host());
  const auto parts = [features = *this](const std::string& model_type, const std::string& feature) -> FoundModel {
    const Supported found = features.check_supported_model_or_raise(model_type, feature);
    return {features.table_of(found), found.model_type, found.feature};
  };
  return {plugin.onnx_config, plugin.manifest->id, parts};
}

std::unique_ptr<Runnable> FeaturesManager::get_model_from_feature(std::string_view feature,
                                                                  const std::filesystem::path& checkpoint_folder,
                                                                  const std::string& plugin_id) const {
  const Checkpoint checkpoint = Checkpoint::open(checkpoint_folder);
  const auto type = checkpoint.config().find("model_type");
  const bool is_stated = type != checkpoint.config().end() && type->is_string();
  const auto recognised = is_stated ? std::nullopt : recognise(*registry_, checkpoint.config());
  if (!is_stated && !recognised) {
    throw Error(Failure::checkpoint, checkpoint_folder.string() + "/config.json names no model_type",
                "add the field, as save_pretrained writes it");
  }
  const Supported supported =
      check_supported_model_or_raise(is_stated ? type->get<std::string>() : recognised->type, feature, plugin_id);
  const OnnxConfig config = OnnxConfig::from_folder(table_of(supported), {checkpoint.config(), checkpoint.folder()},
                                                    supported.model_type, supported.feature);
  WeightSource weights(checkpoint, supported.name_rules(checkpoint.config()));
  return load_backend("reference").load_graph(config.define(weights).graph);
}

}  // namespace onnxport

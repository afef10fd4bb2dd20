// SPDX-License-Identifier: Apache-2.0
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "registry/features_manager.hpp"
#include "registry/loader.hpp"

namespace onnxport {

std::vector<NameRule> FeaturesManager::Supported::name_rules() const {
  std::vector<NameRule> rules;
  for (const Manifest::WeightName& rule : candidate->manifest.weight_names) rules.push_back({rule.from, rule.to});
  return rules;
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
  if (type == checkpoint.config().end() || !type->is_string()) {
    throw Error(Failure::checkpoint, checkpoint_folder.string() + "/config.json names no model_type",
                "add the field, as save_pretrained writes it");
  }
  const Supported supported = check_supported_model_or_raise(type->get<std::string>(), feature, plugin_id);
  const OnnxConfig config = OnnxConfig::from_folder(table_of(supported), {checkpoint.config(), checkpoint.folder()},
                                                    supported.model_type, supported.feature);
  WeightSource weights(checkpoint, supported.name_rules());
  return load_backend("reference").load_graph(config.define(weights).graph);
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// FeaturesManager with the names and meanings of transformers.onnx, over the plugins that a Registry found.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/definition/weights.hpp"
#include "registry/registry.hpp"

namespace onnxport {

/// Which features the model types have, and what features are called. Borrows the Registry.
class FeaturesManager {
 public:
  explicit FeaturesManager(const Registry& registry) : registry_(&registry) {}

  /// A feature of a model type, with the plugin that has it.
  struct Supported : Resolved {
    /// Canonical, and as the plugin spells it.
    std::string feature;
    operator const Candidate&() const { return *candidate; }
    /// How a checkpoint calls what the plugin reads of config.json; null where the plugin has the type itself.
    std::shared_ptr<const ConfigNames> config_names() const;
    /// How its tensors are called, by sizes that its config.json states. Throws Error(checkpoint) where it does not.
    std::vector<NameRule> name_rules(const Json& config) const;
    /// Steps of the model that every export of the feature puts out as well.
    std::vector<std::string> outputs() const;
  };

  /// In the plugin's order. Throws as Registry::find() does.
  const std::vector<std::string>& get_supported_features_for_model_type(std::string_view model_type,
                                                                        const std::string& plugin_id = {}) const;
  /// All types, sorted.
  std::vector<std::string> supported_model_types() const { return registry_->model_types(); }

  /// The plugin for config.json's model_type with this feature, which may be an alias. Throws Error(usage)
  /// listing the supported features where it is not among them, and as Registry::find() does.
  Supported check_supported_model_or_raise(std::string_view model_type, std::string_view feature = "default",
                                           const std::string& plugin_id = {}) const;

  /// A plugin's library, loaded, which finds those of its models' parts among the plugins of the Registry. That must
  /// outlive it. Throws as load() does.
  PluginTable table_of(const Candidate& candidate) const;
  /// The same for a type that may have other names for what the plugin reads.
  PluginTable table_of(const Supported& supported) const;

  /// "masked-lm" -> "AutoModelForMaskedLM"; "-with-past" makes no difference, aliases are accepted.
  /// Throws Error(usage) for an unknown feature.
  static std::string get_model_class_for_feature(std::string_view feature);

  /// The checkpoint's model with a feature's head, to be run on tensors: the plugin's definition, evaluated by the
  /// reference back end. Throws as the steps of an export do, and Error(usage) where that back end is not installed.
  std::unique_ptr<Runnable> get_model_from_feature(std::string_view feature,
                                                   const std::filesystem::path& checkpoint_folder,
                                                   const std::string& plugin_id = {}) const;

  /// The feature that a class name of config.json's `architectures` stands for: after the plugin's own table,
  /// else after the name's longest known ending. Where an ending has several features, the first that the
  /// plugin has. The result is not always among the plugin's features; nullopt where nothing is known.
  static std::optional<std::string> feature_from_architecture(const Candidate& candidate,
                                                              std::string_view architecture);
  /// The same with the table and features of one model type: what to use where the type is known.
  static std::optional<std::string> feature_from_architecture(const Manifest::Model& model,
                                                              std::string_view architecture);

  /// The name of transformers.onnx for a later task name, with or without "-with-past"; other names stay as
  /// they are. A task with several features gives the first.
  static std::string canonical_feature(std::string_view name);
  /// The same, preferring what is among `supported`; a name that is itself among them stays as it is.
  static std::string canonical_feature(std::string_view name, const std::vector<std::string>& supported);

  /// All accepted other names of a feature, for help texts.
  static std::vector<std::string> aliases_of(std::string_view feature);

 private:
  const Registry* registry_;
};

}  // namespace onnxport

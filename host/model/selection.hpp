// SPDX-License-Identifier: Apache-2.0
// From a config.json to the plugin that defines the model, with the feature that was asked for.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "host/plan/arguments.hpp"
#include "host/process/console.hpp"
#include "registry/features_manager.hpp"

namespace onnxport {

/// Where the options have plugins looked for, and under which policies.
SearchOptions search_options(const PluginArguments& arguments);

/// All plugins that the options allow, found and not loaded.
std::unique_ptr<Registry> discover(const PluginArguments& arguments);

/// A model type with a feature, and what defines it.
struct Selection {
  std::unique_ptr<Registry> registry;
  std::string model_type;  // of config.json
  std::string feature;     // canonical
  std::string
      feature_source;  // "--feature fill-mask", "architectures: BertForMaskedLM"; empty where it was given as it is
  std::string plugin_id, plugin_version;
  std::string plugin_sha256;  // of its library; empty where its manifest states none
  std::filesystem::path config_file;
  std::string extension_id, extension_version;  // of the plugin that extends that one for this type; empty without one
  std::string transformers_version;             // that wrote config.json; empty where that does not tell
  bool is_extension = false;                    // whether a manifest without a library adds the type
  bool is_assumed = false;                      // whether nothing told the feature, so that it is the base model
  bool drops_sample_mask = false;               // whether a package has it do without a mask that it takes otherwise
  std::vector<TrustDecision> decisions;         // of policies, on the plugin and those that would have come before it
  std::vector<NameRule> name_rules;
  Json options = Json::object();     // what was chosen of the model
  std::vector<std::string> outputs;  // steps that an extension puts out in every export
  std::vector<std::filesystem::path>
      plugin_folders;  // the plugin's; before it that of the extension that names the type
  std::optional<OnnxConfig> onnx_config;
};

/// What of a model is asked for.
struct Wanted {
  std::string feature;            // empty: by config.json's architectures
  std::string plugin;             // empty: the only one that offers the type
  Json options = Json::object();  // choices that the plugin has to know
  /// Choices where the model has them and `options` does not make them.
  std::map<std::string, std::string> preferred{};
  bool prefers_past = false;  // of a feature that config.json's architectures stand for, the one with a cache
};

/// A config.json without weights beside it.
struct NamedConfig {
  std::filesystem::path file;
  Json content;
};
/// Reads the named file, or the config.json of the named folder. Throws Error(checkpoint) where there is none.
NamedConfig read_config(const std::filesystem::path& named);

/// Resolves type, plugin and feature, loads the plugin and asks it for the configuration. `config_file` is for
/// messages. Warns on `console` of plugins that would have come first and cannot be used.
Selection select(const PluginArguments& arguments, const Json& config, const std::filesystem::path& config_file,
                 const Wanted& wanted, Console& console);

/// Throws Error(usage) where the opset is outside of what the model and this program can write.
void require_opset(const OnnxConfig& config, int64_t opset);

/// Where nothing told the feature: throws Error(usage) where the weights hold a head that another feature of the type
/// asks for. `weights` have been asked for what the base model takes.
void refuse_heads_of_others(const Selection& selection, const WeightSource& weights);

/// What a definition left aside of a checkpoint with this `config`; `strict`: fields that nobody read are refused.
struct Leftovers {
  const Definition& definition;
  const Json& config;
  bool strict = false;
};

/// Notes of tensors that the feature does not use and of config fields that nobody read; the latter are an
/// Error(checkpoint) where `strict`.
void note_leftovers(const Leftovers& leftovers, Console& console);

}  // namespace onnxport

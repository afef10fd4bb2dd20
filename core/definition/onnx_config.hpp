// SPDX-License-Identifier: Apache-2.0
// OnnxConfig on the host's side: a plugin's object behind the names that users of transformers.onnx know.
#pragma once

#include <onnxport/abi.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/definition/config_fields.hpp"
#include "core/definition/config_names.hpp"
#include "core/definition/weights.hpp"
#include "core/description/description.hpp"
#include "core/dummy/dummy_options.hpp"
#include "core/dummy/preprocessor.hpp"
#include "core/ir/graph.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

struct PatchedNode;  // core/passes/lower.hpp
struct FoundModel;

namespace detail {
struct ComponentScope;  // core/definition/host_tables.hpp
}

/// Who serves a model type with a feature, for models that are put together of others. Throws Error(usage) where nobody
/// does, listing what there is, and Error(plugin) where the plugin does not load.
using ModelFinder = std::function<FoundModel(const std::string& model_type, const std::string& feature)>;

/// A plugin that was loaded: its table, its id for messages, and who finds the plugins of a model's parts.
struct PluginTable {
  const onnxport_onnx_config_1* table = nullptr;
  std::string plugin_id;
  ModelFinder parts{};
  /// How the checkpoint calls what the plugin reads; null where it calls it the same.
  std::shared_ptr<const ConfigNames> names{};
  /// What the plugin makes of a checkpoint of the type: what one feature does not ask for, another one may.
  std::vector<std::string> features{};
};

/// What a ModelFinder finds: the plugin, and type and feature as it spells them.
struct FoundModel {
  PluginTable plugin;
  std::string model_type, feature;
};

/// A checkpoint's config.json, where it lies, and the user's choices for this export.
struct ModelFolder {
  const Json& config;
  std::filesystem::path path;
  Json options = Json::object();
};

/// name -> axis -> symbolic name, in the order of the ONNX file. What transformers.onnx calls inputs and outputs.
using NamedAxes = std::vector<std::pair<std::string, std::map<int, std::string>>>;

/// A graph with what is known about it.
struct Definition {
  std::string part;  // "" where the model is one graph, else "encoder", "decoder", …
  ir::Graph graph;
  Description description;
  /// Tensors of the checkpoint that the definition does not use and that belong to other heads.
  std::vector<std::string> unused_tensors;
  /// Fields of config.json that no one read and that the plugin did not list.
  std::vector<std::string> unread_fields;
};

struct DefineOptions {
  /// Further outputs: marks by name, or a group of them ("hidden_states").
  std::vector<std::string> outputs;
  /// Accept tensors inside the model's own modules that the definition does not use.
  bool allow_unused = false;
};

/// One model type with one feature. Owns the plugin's object.
class OnnxConfig {
 public:
  /// Asks the plugin for the object. Throws Error(checkpoint) for a config field it refuses, Error(plugin) where it
  /// fails otherwise; both name plugin and model type.
  /// `options` are the user's choices for this export, a map; Error(usage) where the plugin reads one of them not.
  static OnnxConfig from_model_config(const PluginTable& plugin, const Json& config, const std::string& model_type,
                                      const std::string& feature, const Json& options = Json::object());
  /// The same for a checkpoint's folder, of which the feature sentence-embedding reads more than config.json
  /// (sentence_modules.hpp says what, and which errors that brings).
  static OnnxConfig from_folder(const PluginTable& plugin, const ModelFolder& folder, const std::string& model_type,
                                const std::string& feature);
  /// What is asked of a model that is part of another.
  struct Wanted {
    std::string model_type, feature;
    Json options = Json::object();
  };
  /// One that stands within `depth` others. Errors as of from_model_config.
  static OnnxConfig component(const PluginTable& plugin, const Json& config, const Wanted& wanted, int depth);
  ~OnnxConfig();
  OnnxConfig(OnnxConfig&&) noexcept;
  OnnxConfig& operator=(OnnxConfig&&) noexcept;

  NamedAxes inputs() const;
  NamedAxes outputs() const;
  const Description& description() const;
  /// The graphs of the layouts that have several ("encoder", "decoder", …); empty where the model is always one.
  std::vector<std::string> parts() const;
  /// What the plugin says of one of them.
  const Description& description(const std::string& part) const;
  /// The part that fills the cache of this one, which only runs behind it; empty where it runs by itself.
  std::string first_step(const std::string& part) const;
  int64_t default_onnx_opset() const;
  int64_t min_opset() const;
  double atol_for_validation() const;
  const std::vector<std::pair<std::string, std::string>>& values_override() const;
  const std::vector<PatchSpec>& patching_specs() const;
  bool with_past() const;
  /// As the checkpoint calls it.
  const std::string& model_type() const;
  const std::string& feature() const;
  const std::string& plugin_id() const;
  /// config.json as the plugin reads it.
  const Json& model_config() const;
  /// What the plugin asked of config.json so far.
  const AskedFields& asked_fields() const;
  /// Of the feature sentence-embedding: what clients put before a text, by the name of the task. Empty elsewhere.
  std::map<std::string, std::string> prompts() const;

  /// Real inputs of the declared names: those that the plugin supplies, and the host's. `preprocessor` may be null:
  /// then special tokens come from config.json. Source: OnnxConfig.generate_dummy_inputs, transformers 4.30.
  Tensors generate_dummy_inputs(const Preprocessor* preprocessor, const DummyOptions& options = {},
                                const std::string& part = {}) const;

  /// Whether a model of so many parameters (4 bytes each) needs external data: protobuf ends at 2 GB.
  static bool use_external_data_format(uint64_t num_parameters);
  /// {"NAME.0", …} from a nested output NAME. Source: OnnxConfig of the same name, transformers 4.30.
  static std::vector<std::pair<std::string, ir::Tensor>> flatten_output_collection_property(
      const std::string& name, const std::vector<ir::Tensor>& field);

  /// Runs the plugin's forward(). Throws Error(checkpoint) listing missing, mis-shaped and unexpected tensors
  /// together, Error(usage) for an unknown further output, Error(plugin) for a definition that fails.
  Definition define(WeightSource& weights, const DefineOptions& options = {}) const;
  /// The same for several graphs of one export. Tensors are accounted for over all of them: what any graph uses is
  /// used.
  std::vector<Definition> define_parts(WeightSource& weights, const std::vector<std::string>& parts,
                                       const DefineOptions& options = {}) const;
  /// A feature whose model takes more of a checkpoint than this one, and the first tensor of that.
  struct Head {
    std::string feature, tensor;
  };
  /// The features of the type whose models have all they take in the checkpoint, and take some that this model does
  /// not, which has asked for its own. Those with a past are the same as without.
  std::vector<Head> heads_in(const WeightSource& weights) const;
  /// Has the plugin describe a part, which may be one that no layout writes, to whoever wants to know.
  void describe_part(const std::string& part, onnxport_description& out) const;
  /// Has the plugin define a part within the graph of another model.
  void run_part(const std::string& part, onnxport_graph& around, detail::ComponentScope& scope) const;
  /// The fields of its config that nobody read so far and that the plugin did not list, those of its parts included.
  std::vector<std::string> unread() const;
  /// Lets the plugin lower a node that it claimed with a patching spec, inside `graph`; yields the replacement values.
  std::vector<ir::ValueId> lower_patched(uint64_t tag, ir::Graph& graph, const PatchedNode& patched) const;

 private:
  struct State;
  explicit OnnxConfig(std::unique_ptr<State> state);
  Definition define_part(WeightSource& weights, const std::string& part, const DefineOptions& options,
                         std::set<std::string>& known_steps) const;
  bool ask_for_feature(const std::string& feature, WeightSource& asked) const;
  std::vector<std::string> features_held_by(const WeightSource& weights) const;
  WeightSource asked_by_any() const;
  std::unique_ptr<State> state_;
};

/// Where messages of plugins and of the core go: (level, text). Default: nowhere.
using LogSink = void (*)(onnxport_log_level level, const std::string& text);
void set_log_sink(LogSink sink);

/// The root table that plugins get.
const onnxport_host& plugin_host();

}  // namespace onnxport

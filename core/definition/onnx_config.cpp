// SPDX-License-Identifier: Apache-2.0
#include "core/definition/onnx_config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/definition/host_tables.hpp"
#include "core/definition/own_inputs.hpp"
#include "core/definition/sentence_modules.hpp"
#include "core/dummy/dummy_inputs.hpp"
#include "core/dummy/sizes.hpp"
#include "core/error.hpp"
#include "core/passes/lower.hpp"

namespace onnxport {
namespace {

/// Fields of config.json that say nothing of the graph, whatever the model: training, generation, bookkeeping.
/// Source: PretrainedConfig, transformers 4.30 and 4.57.
const std::set<std::string, std::less<>>& general_fields() {
  static const std::set<std::string, std::less<>> fields{"_name_or_path",
                                                         "architectures",
                                                         "auto_map",
                                                         "model_type",
                                                         "transformers_version",
                                                         "torch_dtype",
                                                         "dtype",
                                                         "torchscript",
                                                         "initializer_range",
                                                         "initializer_factor",
                                                         "use_cache",
                                                         "return_dict",
                                                         "output_attentions",
                                                         "output_hidden_states",
                                                         "use_bfloat16",
                                                         "tf_legacy_loss",
                                                         "pruned_heads",
                                                         "chunk_size_feed_forward",
                                                         "is_encoder_decoder",
                                                         "cross_attention_hidden_size",
                                                         "add_cross_attention",
                                                         "tie_encoder_decoder",
                                                         "max_length",
                                                         "min_length",
                                                         "do_sample",
                                                         "early_stopping",
                                                         "num_beams",
                                                         "num_beam_groups",
                                                         "diversity_penalty",
                                                         "temperature",
                                                         "top_k",
                                                         "top_p",
                                                         "typical_p",
                                                         "repetition_penalty",
                                                         "length_penalty",
                                                         "no_repeat_ngram_size",
                                                         "encoder_no_repeat_ngram_size",
                                                         "bad_words_ids",
                                                         "num_return_sequences",
                                                         "output_scores",
                                                         "return_dict_in_generate",
                                                         "forced_bos_token_id",
                                                         "forced_eos_token_id",
                                                         "remove_invalid_values",
                                                         "exponential_decay_length_penalty",
                                                         "suppress_tokens",
                                                         "begin_suppress_tokens",
                                                         "finetuning_task",
                                                         "id2label",
                                                         "label2id",
                                                         "num_labels",
                                                         "tokenizer_class",
                                                         "prefix",
                                                         "bos_token_id",
                                                         "pad_token_id",
                                                         "eos_token_id",
                                                         "sep_token_id",
                                                         "decoder_start_token_id",
                                                         "task_specific_params",
                                                         "problem_type",
                                                         "gradient_checkpointing",
                                                         "attn_implementation",
                                                         "_attn_implementation",
                                                         "_commit_hash",
                                                         "is_decoder",
                                                         "tie_word_embeddings"};
  return fields;
}

bool is_training_field(std::string_view name) {
  return name.find("dropout") != std::string_view::npos || name.find("_dropout_prob") != std::string_view::npos;
}

/// Whether inputs have an axis of which the name is a part.
bool is_axis_of_inputs(const Description& description, const std::string& symbol) {
  for (const InputSpec& input : description.inputs) {
    for (const ir::Dim& dim : input.type.shape) {
      for (const auto& [name, factor] : dim.terms()) {
        if (name == symbol) return true;
      }
    }
  }
  return false;
}

/// A name that no input has is a new one for a length that the graph computes ("sequence" for the patches of an image).
void name_axes(const OutputSpec& spec, const Description& description, ir::TensorType& type) {
  for (size_t i = 0; i < std::min(spec.axes.size(), type.shape.size()); ++i) {
    const auto& axis = spec.axes[i];
    if (!axis || axis->terms().size() != 1 || type.shape[i].is_static()) continue;
    if (!is_axis_of_inputs(description, axis->terms()[0].first)) type.shape[i] = *axis;
  }
}

/// Whether declared axes agree with what the graph yields.
void check_declared_axes(const std::string& plugin_id, const OutputSpec& spec, const ir::TensorType& type) {
  const auto fail = [&](const std::string& declared) {
    throw Error(Failure::plugin,
                fmt::format("plugin {} declares {} of the output '{}', and its graph yields {}", plugin_id, declared,
                            spec.name, to_string(type)),
                "this is a defect of the plugin; tell its author, with this message");
  };
  if (spec.axes.size() > type.shape.size()) fail(fmt::format("{} axes", spec.axes.size()));
  for (size_t i = 0; i < spec.axes.size(); ++i) {
    if (spec.axes[i] && !(*spec.axes[i] == type.shape[i]))
      fail(fmt::format("'{}' as axis {}", spec.axes[i]->to_string(), i));
  }
}

}  // namespace

struct OnnxConfig::State {
  PluginTable plugin;
  Json config, options;
  std::string model_type, feature;
  std::map<std::string, Description> descriptions;  // by part; "" is the model as one graph
  std::set<std::string> read_fields, read_options;
  onnxport_config root, chosen;
  std::optional<SentenceModules> sentence;
  std::vector<OutputSpec> defined_outputs;  // by the plugin, where the modules follow
  onnxport_onnx_config* object = nullptr;

  ~State() {
    if (object != nullptr) plugin.table->release(object);
  }

  /// Calls a function of the plugin's table. A status becomes the host's error, and so does an exception that the
  /// plugin let through against its promise: the host goes on to report it.
  template <class Call>
  void call(const char* function, Call table_function) const {
    onnxport_status* status = nullptr;
    std::string thrown;
    try {
      status = table_function();
    } catch (const std::exception& exception) {
      thrown = fmt::format("an exception: {}", exception.what());
    } catch (...) {
      thrown = "an exception that is no std::exception";
    }
    if (!thrown.empty()) {
      throw Error(Failure::plugin,
                  fmt::format("plugin {} let {} leave {}() for model type '{}'", plugin.plugin_id, thrown, function,
                              model_type),
                  "the ABI forbids this; tell the plugin's author, with this message");
    }
    detail::throw_status(status, plugin.plugin_id, model_type);
  }

  const Description& main() const { return descriptions.at(""); }

  void describe(const std::string& part) {
    Description& description = descriptions[part];
    detail::DescriptionSink sink(description);
    call("describe", [&] { return plugin.table->describe(object, detail::abi(part), &sink); });
    settle_roles(description);
    if (!description.inputs.empty() && !description.outputs.empty()) return;
    throw Error(Failure::plugin, fmt::format("plugin {} declares {} inputs and {} outputs for '{}' with feature "
                                             "'{}'{}; a model has at least one of each",
                                             plugin.plugin_id, description.inputs.size(), description.outputs.size(),
                                             model_type, feature, part.empty() ? "" : ", part '" + part + "'"));
  }

  /// Dummy inputs that the plugin makes itself; none where it was built before ABI 1.2 or makes none.
  Tensors own_inputs(const std::string& part, const dummy::Sizes& sizes, const DummyOptions& options) const {
    constexpr size_t needed = offsetof(onnxport_onnx_config_1, dummy_inputs) + sizeof plugin.table->dummy_inputs;
    if (plugin.table->struct_size < needed || plugin.table->dummy_inputs == nullptr) return {};
    std::vector<onnxport_size> lengths;
    for (const auto& [symbol, size] : sizes) lengths.push_back({detail::abi(symbol), size});
    const onnxport_dummy_request request{sizeof(onnxport_dummy_request), lengths.data(), lengths.size(), options.seed,
                                         options.varied ? 1 : 0};
    detail::OwnInputs own(descriptions.at(part), sizes);
    call("dummy_inputs", [&] { return plugin.table->dummy_inputs(object, detail::abi(part), &request, &own); });
    return std::move(own.made);
  }

  /// Throws where the user chose something that the plugin did not ask for.
  void check_options() const {
    for (const auto& [key, value] : options.items()) {
      if (read_options.contains(key)) continue;
      throw Error(Failure::usage,
                  fmt::format("models of type '{}' with feature '{}' have no choice of {}, and {} was asked for",
                              model_type, feature, key, value.dump()),
                  "leave the option out");
    }
  }
};

OnnxConfig::OnnxConfig(std::unique_ptr<State> state) : state_(std::move(state)) {}
OnnxConfig::~OnnxConfig() = default;
OnnxConfig::OnnxConfig(OnnxConfig&&) noexcept = default;
OnnxConfig& OnnxConfig::operator=(OnnxConfig&&) noexcept = default;

OnnxConfig OnnxConfig::from_model_config(const PluginTable& plugin, const Json& config, const std::string& model_type,
                                         const std::string& feature, const Json& options) {
  if (feature == sentence_embedding_feature) {
    throw Error(Failure::usage, fmt::format("the feature {} reads more of a checkpoint than its config.json", feature),
                "make the OnnxConfig from the checkpoint's folder: from_folder()");
  }
  auto state = std::make_unique<State>();
  state->plugin = plugin;
  state->config = config;
  state->options = options;
  state->model_type = model_type;
  state->feature = feature;
  state->root = {&state->config, &state->read_fields, true, {}, {}};
  state->chosen = {&state->options, &state->read_options, true, {}, {}};
  const onnxport_request request{
      sizeof(onnxport_request),    &plugin_host(), &state->root, detail::abi(state->model_type),
      detail::abi(state->feature), &state->chosen};
  state->call("create", [&] { return plugin.table->create(&request, &state->object); });
  if (state->object == nullptr) {
    throw Error(Failure::plugin, fmt::format("plugin {} created nothing for model type '{}' and reported no error",
                                             plugin.plugin_id, model_type));
  }
  state->check_options();
  state->describe("");
  OnnxConfig made(std::move(state));
  const std::vector<std::string> parts = made.parts();
  for (const std::string& part : parts) made.state_->describe(part);
  for (const std::string& part : parts) {
    const std::string first = made.first_step(part);
    if (first.empty() || (first != part && std::find(parts.begin(), parts.end(), first) != parts.end())) continue;
    throw Error(Failure::plugin, fmt::format("plugin {} calls '{}' the first step of the part '{}'; its parts are: {}",
                                             plugin.plugin_id, first, part, fmt::join(parts, ", ")));
  }
  return made;
}

OnnxConfig OnnxConfig::from_folder(const PluginTable& plugin, const ModelFolder& folder, const std::string& model_type,
                                   const std::string& feature) {
  if (feature != sentence_embedding_feature)
    return from_model_config(plugin, folder.config, model_type, feature, folder.options);
  SentenceModules modules = SentenceModules::read(folder.path);
  OnnxConfig made = from_model_config(plugin, folder.config, model_type, modules.base_feature(), folder.options);
  State& state = *made.state_;
  Description& description = state.descriptions.at("");
  state.defined_outputs = description.outputs;
  modules.declare(description);
  state.sentence = std::move(modules);
  state.feature = feature;
  return made;
}

NamedAxes OnnxConfig::inputs() const {
  NamedAxes named;
  for (const InputSpec& spec : state_->main().inputs) {
    auto& axes = named.emplace_back(spec.name, std::map<int, std::string>{}).second;
    for (size_t i = 0; i < spec.type.shape.size(); ++i) {
      if (!spec.type.shape[i].is_static()) axes[static_cast<int>(i)] = spec.type.shape[i].to_string();
    }
  }
  return named;
}

NamedAxes OnnxConfig::outputs() const {
  NamedAxes named;
  for (const OutputSpec& spec : state_->main().outputs) {
    auto& axes = named.emplace_back(spec.name, std::map<int, std::string>{}).second;
    for (size_t i = 0; i < spec.axes.size(); ++i) {
      if (spec.axes[i] && !spec.axes[i]->is_static()) axes[static_cast<int>(i)] = spec.axes[i]->to_string();
    }
  }
  return named;
}

const Description& OnnxConfig::description() const {
  return state_->main();
}
const Description& OnnxConfig::description(const std::string& part) const {
  const auto found = state_->descriptions.find(part);
  if (found == state_->descriptions.end())
    throw Error(Failure::internal, fmt::format("model type '{}' has no part '{}'", state_->model_type, part));
  return found->second;
}
std::vector<std::string> OnnxConfig::parts() const {
  return state_->main().list("parts");
}
std::string OnnxConfig::first_step(const std::string& part) const {
  const auto& texts = description(part).texts;
  const auto found = texts.find("first_step");
  return found == texts.end() ? std::string() : found->second;
}
int64_t OnnxConfig::default_onnx_opset() const {
  return state_->main().integer("default_opset", 18);
}
int64_t OnnxConfig::min_opset() const {
  return state_->main().integer("min_opset", 13);
}
double OnnxConfig::atol_for_validation() const {
  const auto found = state_->main().reals.find("atol_for_validation");
  return found == state_->main().reals.end() ? 1e-5 : found->second;
}
const std::vector<std::pair<std::string, std::string>>& OnnxConfig::values_override() const {
  return state_->main().value_overrides;
}
const std::vector<PatchSpec>& OnnxConfig::patching_specs() const {
  return state_->main().patches;
}
bool OnnxConfig::with_past() const {
  return state_->main().integer("with_past", 0) != 0;
}
const std::string& OnnxConfig::model_type() const {
  return state_->model_type;
}
const std::string& OnnxConfig::feature() const {
  return state_->feature;
}
const std::string& OnnxConfig::plugin_id() const {
  return state_->plugin.plugin_id;
}

Tensors OnnxConfig::generate_dummy_inputs(const Preprocessor* preprocessor, const DummyOptions& options,
                                          const std::string& part) const {
  const Description& described = description(part);
  const dummy::Sizes sizes = dummy::axis_sizes(described, state_->config, preprocessor, options);
  const Tensors own = state_->own_inputs(part, sizes, options);
  return onnxport::generate_dummy_inputs(described, state_->config, preprocessor, options, own);
}

bool OnnxConfig::use_external_data_format(uint64_t num_parameters) {
  // Room for the graph itself beside the weights.
  constexpr uint64_t limit = (uint64_t{1} << 31) - (uint64_t{16} << 20);
  return num_parameters >= limit / sizeof(float);
}

std::vector<std::pair<std::string, ir::Tensor>> OnnxConfig::flatten_output_collection_property(
    const std::string& name, const std::vector<ir::Tensor>& field) {
  std::vector<std::pair<std::string, ir::Tensor>> flat;
  for (size_t i = 0; i < field.size(); ++i) flat.emplace_back(fmt::format("{}.{}", name, i), field[i]);
  return flat;
}

Definition OnnxConfig::define(WeightSource& weights, const DefineOptions& options) const {
  return std::move(define_parts(weights, {""}, options)[0]);
}

std::vector<Definition> OnnxConfig::define_parts(WeightSource& weights, const std::vector<std::string>& parts,
                                                 const DefineOptions& options) const {
  const State& state = *state_;
  std::vector<Definition> definitions;
  std::set<std::string> known;
  for (const std::string& part : parts) definitions.push_back(define_part(weights, part, options, known));
  for (const std::string& wanted : options.outputs) {
    const bool any = std::any_of(known.begin(), known.end(),
                                 [&](const std::string& step) { return detail::is_wanted({wanted}, step); });
    if (!any) {
      throw Error(Failure::usage, fmt::format("the model has no further output '{}'", wanted),
                  fmt::format("its named steps are: {}", fmt::join(known, ", ")));
    }
  }
  const std::vector<std::string> unused = weights.finish(options.allow_unused);
  std::vector<std::string> unread;
  for (const auto& [key, value] : state.config.items()) {
    if (!state.read_fields.contains(key) && !general_fields().contains(key) && !is_training_field(key) &&
        !key.starts_with("_")) {
      unread.push_back(key);
    }
  }
  for (Definition& definition : definitions) {
    definition.unused_tensors = unused;
    definition.unread_fields = unread;
  }
  return definitions;
}

/// Runs forward() for one graph; puts its outputs in the order of the declaration, and the further ones behind.
Definition OnnxConfig::define_part(WeightSource& weights, const std::string& part, const DefineOptions& options,
                                   std::set<std::string>& known_steps) const {
  const State& state = *state_;
  Definition definition;
  definition.part = part;
  definition.description = description(part);
  definition.graph.name = part.empty() ? state.model_type : state.model_type + "_" + part;
  for (const InputSpec& spec : definition.description.inputs) {
    const ir::ValueId id = definition.graph.add_input(spec.name, spec.type);
    definition.graph[id].open_axes = spec.open_axes;
  }

  const auto prefix = state.main().texts.find("base_model_prefix");
  if (prefix != state.main().texts.end()) weights.set_base_model_prefix(prefix->second);
  onnxport_graph handle;
  handle.graph = &definition.graph;
  handle.description = &definition.description;
  handle.weights = &weights;
  handle.wanted = &options.outputs;
  state.call("forward", [&] { return state.plugin.table->forward(state.object, detail::abi(part), &handle); });

  std::vector<ir::NamedValue> given = std::move(definition.graph.outputs);
  definition.graph.outputs.clear();
  const bool followed = state.sentence && part.empty();
  for (const OutputSpec& spec : followed ? state.defined_outputs : definition.description.outputs) {
    const auto found =
        std::find_if(given.begin(), given.end(), [&](const ir::NamedValue& value) { return value.name == spec.name; });
    if (found == given.end()) {
      throw Error(Failure::plugin, fmt::format("plugin {} declares the output '{}' and defines none of that name",
                                               state.plugin.plugin_id, spec.name));
    }
    name_axes(spec, definition.description, definition.graph[found->value].type);
    check_declared_axes(state.plugin.plugin_id, spec, definition.graph[found->value].type);
    definition.graph.outputs.push_back(*found);
    given.erase(found);
  }
  if (!given.empty()) {
    throw Error(Failure::plugin, fmt::format("plugin {} defines the output '{}', which it does not declare",
                                             state.plugin.plugin_id, given[0].name));
  }
  if (followed) state.sentence->append(definition.graph, definition.description);
  known_steps.insert(handle.offered.begin(), handle.offered.end());
  for (const ir::NamedValue& mark : definition.graph.marks) known_steps.insert(mark.name);
  for (const std::string& wanted : options.outputs) {
    for (const ir::NamedValue& mark : definition.graph.marks) {
      const bool there = std::any_of(definition.graph.outputs.begin(), definition.graph.outputs.end(),
                                     [&](const ir::NamedValue& output) { return output.name == mark.name; });
      if (detail::is_wanted({wanted}, mark.name) && !there) definition.graph.outputs.push_back(mark);
    }
  }
  return definition;
}

std::vector<ir::ValueId> OnnxConfig::lower_patched(uint64_t tag, ir::Graph& graph, const PatchedNode& patched) const {
  const ir::Node& node = patched.node;
  if (state_->plugin.table->lower == nullptr) {
    throw Error(Failure::plugin,
                fmt::format("plugin {} claims to lower {} itself, and has no function for it", plugin_id(), node.op));
  }
  onnxport_graph handle;
  handle.graph = &graph;
  handle.description = &state_->main();
  handle.foreign_types = &patched.types;
  const std::vector<onnxport_attribute> attributes = detail::abi_attributes(node);
  const onnxport_node from{sizeof(onnxport_node),   detail::abi(node.domain), detail::abi(node.op),
                           detail::abi(node.scope), node.inputs.data(),       node.inputs.size(),
                           attributes.data(),       attributes.size(),        node.outputs.size()};
  std::vector<onnxport_value> results(node.outputs.size());
  state_->call("lower",
               [&] { return state_->plugin.table->lower(state_->object, tag, &handle, &from, results.data()); });
  return results;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/definition/onnx_config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/definition/blamed_field.hpp"
#include "core/definition/config_fields.hpp"
#include "core/definition/description_sink.hpp"
#include "core/definition/onnx_config_state.hpp"
#include "core/dummy/dummy_inputs.hpp"
#include "core/dummy/sizes.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

/// Whether a part's map says the same of a field, as versions 4.50 to 4.57 of transformers write twice what is a
/// part's.
bool is_said_by_a_part(const Json& config, const std::string& field, const Json& value) {
  return std::any_of(config.begin(), config.end(), [&](const Json& part) {
    const auto found = part.is_object() ? part.find(field) : part.end();
    return part.is_object() && found != part.end() && *found == value;
  });
}

}  // namespace

void OnnxConfig::State::describe(const std::string& part) {
  Description& description = descriptions[part];
  detail::DescriptionSink sink(description);
  object->describe(part, sink);
  settle_roles(description);
  if (!description.inputs.empty() && !description.outputs.empty()) return;
  throw Error(Failure::plugin, fmt::format("plugin {} declares {} inputs and {} outputs for '{}' with feature "
                                           "'{}'{}; a model has at least one of each",
                                           plugin.plugin_id, description.inputs.size(), description.outputs.size(),
                                           model_type, feature, part.empty() ? "" : ", part '" + part + "'"));
}

void OnnxConfig::State::check_options() const {
  for (const auto& [key, value] : options.items()) {
    if (asked_options.contains(key)) continue;
    throw Error(Failure::usage,
                fmt::format("models of type '{}' with feature '{}' have no choice of {}, and {} was asked for",
                            model_type, feature, key, value.dump()),
                "leave the option out");
  }
}

Error OnnxConfig::State::explained(const Error& error) const {
  const bool may_follow = error.failure() == Failure::checkpoint || error.failure() == Failure::plugin;
  if (plugin.names == nullptr || !may_follow) return error;
  AskedFields asked = asked_fields;
  components->add_asked(asked);
  const std::string key = given_by(field_of(error.what()), *plugin.names, checkpoint_config);
  if (!key.empty()) {
    return {
        error.failure(), error.what(),
        fmt::format("correct {} in the manifest of {}, which gives the field its value", key, plugin.names->extension)};
  }
  return explained_by(misnamed_fields({*plugin.names, checkpoint_config, config, asked, plugin.plugin_id}), error);
}

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
  const Wanted wanted{model_type, feature, options};
  try {
    return component(plugin, config, wanted, 0);
  } catch (const Error& error) {
    throw blamed_on_field({plugin, config, wanted}, error);
  }
}

OnnxConfig OnnxConfig::component(const PluginTable& plugin, const Json& config, const Wanted& wanted, int depth) {
  refuse_general_fields(config);
  auto state = std::make_unique<State>();
  state->plugin = plugin;
  state->config = plugin.names ? plugin.names->applied_to(config) : config;
  if (plugin.names) state->checkpoint_config = config;
  state->options = wanted.options;
  state->defined_type = wanted.model_type;
  state->model_type = plugin.names ? plugin.names->model_type : wanted.model_type;
  state->feature = state->defined_feature = wanted.feature;
  state->components.emplace(&state->plugin.parts, state->config, depth);
  state->root.json = &state->config;
  state->root.fields = &state->asked_fields;
  state->root.components = &*state->components;
  state->root.misread = &state->misread;
  state->chosen.json = &state->options;
  state->chosen.fields = &state->asked_options;
  const onnxport_request request{
      sizeof(onnxport_request),    &plugin_host(), &state->root, detail::abi(state->defined_type),
      detail::abi(state->feature), &state->chosen};
  try {
    state->object.emplace(plugin, request);
    state->check_options();
    state->describe("");
  } catch (const Error& error) {
    state->misread.check(state->plugin.names.get());  // the error may be no more than what follows from that
    throw state->explained({error.failure(), with_what_is_there(error.what(), state->config), error.hint()});
  }
  state->misread.check(state->plugin.names.get());
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
  std::optional<SentenceModules> modules;
  if (feature == sentence_embedding_feature) modules = SentenceModules::read(folder.path);
  Json options = folder.options;
  std::optional<Scores> scores;
  if (const auto choice = options.find(scores_option); choice != options.end()) {
    scores = Scores::read(choice->get<std::string>(), folder.config, folder.path);
    options.erase(choice);
  }
  OnnxConfig made =
      from_model_config(plugin, folder.config, model_type, modules ? modules->base_feature() : feature, options);
  State& state = *made.state_;
  Description& description = state.descriptions.at("");
  state.defined_outputs = description.outputs;
  if (modules) modules->declare(description);
  if (scores) scores->declare(description, feature);
  state.sentence = std::move(modules);
  state.scores = scores;
  state.feature = feature;
  return made;
}

void OnnxConfig::describe_part(const std::string& part, onnxport_description& out) const {
  state_->object->describe(part, out);
}

std::vector<std::string> OnnxConfig::unread() const {
  std::vector<std::string> fields = unread_fields(state_->config, state_->asked_fields);
  std::erase_if(fields, [this](const std::string& field) {
    const Json& value = state_->config.at(field);
    return value.is_null() || is_said_by_a_part(state_->config, field, value);
  });
  state_->components->take_off_read(fields);
  const std::vector<std::string> of_parts = state_->components->unread();
  fields.insert(fields.end(), of_parts.begin(), of_parts.end());
  if (state_->plugin.names) {
    for (std::string& field : fields) field = state_->plugin.names->own_name(field);
  }
  return fields;
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
const Json& OnnxConfig::model_config() const {
  return state_->config;
}
const AskedFields& OnnxConfig::asked_fields() const {
  return state_->asked_fields;
}
std::map<std::string, std::string> OnnxConfig::prompts() const {
  return state_->sentence ? state_->sentence->prompts() : std::map<std::string, std::string>();
}

Tensors OnnxConfig::generate_dummy_inputs(const Preprocessor* preprocessor, const DummyOptions& options,
                                          const std::string& part) const {
  const DummyModel model{description(part), state_->config, preprocessor};
  const dummy::Sizes sizes = dummy::axis_sizes(model.description, model.config, model.preprocessor, options);
  std::vector<onnxport_size> lengths;
  for (const auto& [symbol, size] : sizes) lengths.push_back({detail::abi(symbol), size});
  const onnxport_dummy_request request{sizeof(onnxport_dummy_request), lengths.data(), lengths.size(), options.seed,
                                       options.varied ? 1 : 0};
  detail::OwnInputs own(model.description, sizes);
  state_->object->dummy_inputs(part, request, own);
  return fill_dummy_inputs(std::move(own.made), model, sizes, options);
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

}  // namespace onnxport

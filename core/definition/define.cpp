// SPDX-License-Identifier: Apache-2.0
// From a plugin's forward() to a definition.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/definition/blamed_field.hpp"
#include "core/definition/config_fields.hpp"
#include "core/definition/onnx_config_state.hpp"
#include "core/error.hpp"
#include "core/passes/lower.hpp"

namespace onnxport {
namespace {

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

constexpr const char* outputs_hint =
    "outputs() and what forward() returns must have the same names; tell the plugin's author, with this message";

/// The names, as a message lists them.
std::string names_of(const std::vector<ir::NamedValue>& values) {
  std::vector<std::string_view> names;
  for (const ir::NamedValue& value : values) names.push_back(value.name);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
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

Definition OnnxConfig::define(WeightSource& weights, const DefineOptions& options) const {
  return std::move(define_parts(weights, {""}, options)[0]);
}

std::vector<Definition> OnnxConfig::define_parts(WeightSource& weights, const std::vector<std::string>& parts,
                                                 const DefineOptions& options) const {
  try {
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
    if (weights.lacks_only_tensors()) {
      const std::vector<std::string> held = features_held_by(weights);
      const Json& config = state_->plugin.names ? state_->checkpoint_config : state_->config;
      if (!held.empty()) throw weights.lacks_a_head({state_->feature, held, architectures_of(config)});
    }
    const std::vector<std::string> unused = weights.finish(options.allow_unused, [this] { return asked_by_any(); });
    const std::vector<std::string> unread = this->unread();
    for (Definition& definition : definitions) {
      definition.unused_tensors = unused;
      definition.unread_fields = unread;
    }
    return definitions;
  } catch (const Error& error) {
    const State& state = *state_;
    const Wanted wanted{state.defined_type, state.defined_feature, state.options};
    const Json& config = state.plugin.names ? state.checkpoint_config : state.config;
    throw blamed_on_field({state.plugin, config, wanted}, state.explained(error));
  }
}

/// Has all graphs of one of the type's features ask for their weights, and says whether they could. A feature that the
/// config does not fit asks for nothing.
bool OnnxConfig::ask_for_feature(const std::string& feature, WeightSource& asked) const {
  PluginTable plugin = state_->plugin;
  plugin.names = nullptr;  // the config has the plugin's names by now
  try {
    const OnnxConfig other = component(plugin, state_->config, {state_->defined_type, feature}, 0);
    std::vector<std::string> graphs = other.parts();
    graphs.emplace_back();
    std::set<std::string> steps;
    for (const std::string& part : graphs) other.define_part(asked, part, {}, steps);
  } catch (const Error&) {  // it may have asked for some
    return false;
  }
  return true;
}

/// What the model's other graphs and the type's other features ask for.
WeightSource OnnxConfig::asked_by_any() const {
  WeightSource asked;
  for (const std::string& feature : state_->plugin.features) {
    WeightSource one;  // features may ask for a tensor in shapes of their own
    ask_for_feature(feature, one);
    asked.add_asked(one);
  }
  return asked;
}

/// The features of the type whose models have all they take in the checkpoint. Those with a past are the same as
/// without.
std::vector<std::string> OnnxConfig::features_held_by(const WeightSource& weights) const {
  std::vector<std::string> held;
  for (const std::string& feature : state_->plugin.features) {
    if (feature == state_->feature || feature.ends_with("-with-past")) continue;
    WeightSource asked = weights.anew();
    if (ask_for_feature(feature, asked) && asked.has_all_asked_for()) held.push_back(feature);
  }
  return held;
}

std::vector<OnnxConfig::Head> OnnxConfig::heads_in(const WeightSource& weights) const {
  std::vector<Head> heads;
  for (const std::string& feature : state_->plugin.features) {
    if (feature == state_->feature || feature.ends_with("-with-past")) continue;
    WeightSource asked;
    ask_for_feature(feature, asked);
    std::string first;
    bool is_there = true;
    for (const auto& [name, shape] : asked.requested()) {
      is_there = is_there && weights.has(name);
      if (first.empty() && !weights.was_asked_for(name)) first = name;
    }
    if (is_there && !first.empty()) heads.push_back({feature, first});
  }
  return heads;
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
  handle.object = &*state.object;
  handle.weights = &weights;
  handle.wanted = &options.outputs;
  state.object->forward(part, handle);

  std::vector<ir::NamedValue> given = std::move(definition.graph.outputs);
  const std::string all_given = names_of(given);
  definition.graph.outputs.clear();
  const bool followed = (state.sentence || state.scores) && part.empty();
  for (const OutputSpec& spec : followed ? state.defined_outputs : definition.description.outputs) {
    const auto found =
        std::find_if(given.begin(), given.end(), [&](const ir::NamedValue& value) { return value.name == spec.name; });
    if (found == given.end()) {
      throw Error(Failure::plugin,
                  fmt::format("plugin {} declares the output '{}' and defines none of that name; it defines {}",
                              state.plugin.plugin_id, spec.name, all_given),
                  outputs_hint);
    }
    name_axes(spec, definition.description, definition.graph[found->value].type);
    check_declared_axes(state.plugin.plugin_id, spec, definition.graph[found->value].type);
    definition.graph.outputs.push_back(*found);
    given.erase(found);
  }
  if (!given.empty()) {
    throw Error(Failure::plugin,
                fmt::format("plugin {} defines the output '{}', which it does not declare; it declares {}",
                            state.plugin.plugin_id, given[0].name, names_of(definition.graph.outputs)),
                outputs_hint);
  }
  if (followed && state.sentence) state.sentence->append(definition.graph, definition.description);
  if (followed && state.scores) state.scores->append(definition.graph, state.feature);
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

void OnnxConfig::run_part(const std::string& part, onnxport_graph& around, detail::ComponentScope& scope) const {
  onnxport_graph handle;
  handle.graph = around.graph;
  handle.description = around.description;
  handle.weights = around.weights;
  handle.wanted = around.wanted;
  // What stands within two models has the names of both.
  if (const detail::ComponentScope* outer = around.component) {
    scope.path = outer->path_of(scope.path);
    scope.steps = outer->steps + scope.steps;
    std::vector<std::pair<std::string, std::string>> through;
    for (const auto& [from, to] : scope.prefixes) {
      for (std::string& name : outer->names_of(to)) through.emplace_back(from, std::move(name));
    }
    scope.prefixes = std::move(through);
  }
  handle.component = &scope;
  state_->object->forward(part, handle);
  around.offered.insert(handle.offered.begin(), handle.offered.end());
}

std::vector<ir::ValueId> OnnxConfig::lower_patched(uint64_t tag, ir::Graph& graph, const PatchedNode& patched) const {
  onnxport_graph handle;
  handle.graph = &graph;
  handle.description = &state_->main();
  handle.object = &*state_->object;
  handle.foreign_types = &patched.types;
  return state_->object->lower(tag, handle, patched.node);
}

}  // namespace onnxport

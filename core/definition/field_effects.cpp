// SPDX-License-Identifier: Apache-2.0
#include "core/definition/field_effects.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"

namespace onnxport {
namespace {

/// What can be told apart of a definition.
struct Outline {
  std::map<std::string, std::vector<int64_t>> weights;
  std::map<std::string, std::multiset<std::string>> nodes;  // by operator: attributes and shapes
  std::map<std::string, std::string> ports;                 // inputs and outputs: type
  std::multiset<std::string> constants;
  AskedFields asked;
};

std::string text_of(const ir::Attribute& attribute) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, attribute);
}

std::string constant_text(const ir::Tensor& tensor) {
  const std::string bytes(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  return fmt::format("{} {} {}", static_cast<int>(tensor.dtype), fmt::join(tensor.shape, ","),
                     std::hash<std::string>{}(bytes));
}

void add_graph(const ir::Graph& graph, Outline& outline) {
  for (const ir::Node& node : graph.nodes) {
    std::string text;
    for (const auto& [key, value] : node.attributes) text += key + "=" + text_of(value) + ";";
    for (const ir::ValueId id : node.outputs) text += to_string(graph[id].type);
    outline.nodes[node.op].insert(text);
    for (const auto& [name, body] : node.bodies) add_graph(*body, outline);
  }
  for (const ir::Value& value : graph.values) {
    if (value.constant) outline.constants.insert(constant_text(*value.constant));
  }
}

Outline outline_of(const AskedModel& model, const Json& config) {
  const OnnxConfig onnx_config = OnnxConfig::from_model_config(model.plugin, config, model.model_type, model.feature);
  Outline outline;
  WeightSource any;
  const Definition definition = onnx_config.define(any);
  outline.weights = any.requested();
  add_graph(definition.graph, outline);
  for (const ir::NamedValue& port : definition.graph.inputs)
    outline.ports[port.name] = to_string(definition.graph[port.value].type);
  for (const ir::NamedValue& port : definition.graph.outputs)
    outline.ports[port.name] = to_string(definition.graph[port.value].type);
  outline.asked = onnx_config.asked_fields();
  return outline;
}

/// How many of `a` are not in `b`.
template <class Set>
size_t missing(const Set& a, const Set& b) {
  std::vector<typename Set::value_type> difference;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(difference));
  return difference.size();
}

std::vector<std::string> differences(const Outline& before, const Outline& after) {
  std::vector<std::string> found;
  size_t gone = 0, reshaped = 0, added = 0;
  for (const auto& [name, shape] : before.weights) {
    const auto other = after.weights.find(name);
    if (other == after.weights.end())
      ++gone;
    else if (other->second != shape)
      ++reshaped;
  }
  for (const auto& [name, shape] : after.weights) added += before.weights.contains(name) ? 0 : 1;
  if (added > 0) found.push_back(fmt::format("{} more weights", added));
  if (gone > 0) found.push_back(fmt::format("{} weights fewer", gone));
  if (reshaped > 0) found.push_back(fmt::format("{} weights of another shape", reshaped));
  std::vector<std::string> ports;
  for (const auto& [name, type] : before.ports) {
    const auto other = after.ports.find(name);
    if (other == after.ports.end() || other->second != type) ports.push_back(name);
  }
  for (const auto& [name, type] : after.ports) {
    if (!before.ports.contains(name)) ports.push_back(name);
  }
  if (!ports.empty()) found.push_back(fmt::format("other inputs or outputs: {}", fmt::join(ports, ", ")));
  // Shapes ripple through all nodes; single operators tell something only where weights stay as they are.
  if (added + gone + reshaped > 0) return found;
  std::vector<std::string> operators;
  static const std::multiset<std::string> none;
  std::set<std::string> names;
  for (const auto& [op, nodes] : before.nodes) names.insert(op);
  for (const auto& [op, nodes] : after.nodes) names.insert(op);
  for (const std::string& op : names) {
    const auto was = before.nodes.find(op), is = after.nodes.find(op);
    const auto& a = was == before.nodes.end() ? none : was->second;
    const auto& b = is == after.nodes.end() ? none : is->second;
    const size_t lost = missing(a, b), won = missing(b, a);
    if (lost + won > 0)
      operators.push_back(lost == won ? fmt::format("{} {}", lost, op) : fmt::format("-{} +{} {}", lost, won, op));
  }
  if (!operators.empty()) found.push_back(fmt::format("other nodes: {}", fmt::join(operators, ", ")));
  if (operators.empty() && before.constants != after.constants) found.emplace_back("other constants");
  return found;
}

/// "4.30.2", "5.0.0.dev0"
bool is_version(const std::string& text) {
  const size_t dot = text.find('.');
  return dot != std::string::npos && dot > 0 && dot + 1 < text.size() && text.find_first_not_of("0123456789") == dot &&
         text[dot + 1] >= '0' && text[dot + 1] <= '9';
}

/// Values of the same kind that a model may take as well.
std::vector<Json> others(const Json& value) {
  if (value.is_boolean()) return {!value.get<bool>()};
  if (value.is_number_integer()) {
    const auto number = value.get<int64_t>();
    std::vector<Json> list{number * 2, number + 1};
    if (number > 1) list.emplace_back(number - 1);
    return list;
  }
  if (value.is_number_float()) return {value.get<double>() * 2 + 1e-3};
  // What a version changes, the next one has, or the one before.
  if (value.is_string() && is_version(value.get<std::string>())) return {"5.0.0", "4.0.0"};
  if (value.is_string()) return {"relu", "silu", "none"};
  if (value.is_array() && value.size() > 1) {
    Json shorter = value;
    shorter.erase(shorter.size() - 1);
    return {shorter};
  }
  if (value.is_null()) return {1, true};
  return {nullptr};
}

void try_others(const AskedModel& model, const Outline& original, FieldEffect& field) {
  for (Json& value : others(field.value)) {
    if (value == field.value) continue;
    Json changed = model.config;
    changed[field.name] = value;
    try {
      std::vector<std::string> effects = differences(original, outline_of(model, changed));
      if (field.tried.is_null() || !effects.empty()) {
        field.tried = std::move(value);
        field.effects = std::move(effects);
      }
      if (!field.effects.empty()) return;
    } catch (const Error& refusal) {
      if (field.refusal.empty()) field.refusal = fmt::format("{}: {}", value.dump(), refusal.what());
    }
  }
}

}  // namespace

ConfigEffects effects_of_fields(const AskedModel& model) {
  const Outline original = outline_of(model, model.config);
  const std::vector<std::string> unread = unread_fields(model.config, original.asked);
  ConfigEffects out;
  out.weights = original.weights;
  for (const auto& [name, value] : model.config.items()) {
    FieldEffect field{name, value, FieldUse::general, nullptr, {}, {}};
    const auto asked = original.asked.find(name);
    if (asked != original.asked.end())
      field.use = asked->second ? FieldUse::read : FieldUse::without_effect;
    else if (std::find(unread.begin(), unread.end(), name) != unread.end())
      field.use = FieldUse::unread;
    if (field.use == FieldUse::read && name != "model_type") try_others(model, original, field);
    out.fields.push_back(std::move(field));
  }
  for (const auto& [name, looked_at] : original.asked) {
    if (looked_at && !model.config.contains(name)) out.defaulted.push_back(name);
  }
  return out;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/passes/merge_steps.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/passes/tidy.hpp"

namespace onnxport {
namespace {

using ir::Graph;
using ir::NamedValue;
using ir::Value;
using ir::ValueId;

const NamedValue* find(const std::vector<NamedValue>& list, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const NamedValue& one) { return one.name == name; });
  return found == list.end() ? nullptr : &*found;
}

ValueId add_input_like(Graph& graph, const std::string& name, const Value& like) {
  const ValueId id = graph.add_input(name, like.type);
  graph[id].open_axes = like.open_axes;
  return id;
}

/// Whether lengths are all that the types differ in, which is so of a mask: with a past it covers that as well.
bool differ_in_lengths(const ir::TensorType& a, const ir::TensorType& b) {
  if (a.dtype != b.dtype || a.shape.size() != b.shape.size()) return false;
  for (size_t i = 0; i < a.shape.size(); ++i) {
    if (!(a.shape[i] == b.shape[i]) && (a.shape[i].is_static() || b.shape[i].is_static())) return false;
  }
  return true;
}

void take_inputs(Graph& merged, const Graph& step) {
  for (const NamedValue& input : step.inputs) {
    const NamedValue* known = find(merged.inputs, input.name);
    if (known == nullptr) {
      add_input_like(merged, input.name, step[input.value]);
    } else if (merged[known->value].open_axes == step[input.value].open_axes &&
               differ_in_lengths(merged[known->value].type, step[input.value].type)) {
      merged[known->value].type = step[input.value].type;  // the cached step's, whose lengths are sums
    } else if (!(merged[known->value].type == step[input.value].type) ||
               merged[known->value].open_axes != step[input.value].open_axes) {
      throw Error(Failure::plugin,
                  fmt::format("the input '{}' is {} in the first step and {} in the cached one", input.name,
                              to_string(merged[known->value].type), to_string(step[input.value].type)),
                  "export with --layout split");
    }
  }
}

/// The state that a step was given, as its output.
NamedValue pass_on(Graph& step, const std::string& output, const DecoderSteps& steps) {
  const auto given = steps.kept.find(output);
  const NamedValue* input = given == steps.kept.end() ? nullptr : find(step.inputs, given->second);
  if (input == nullptr) {
    throw Error(Failure::plugin,
                fmt::format("the cached step does not put out '{}', and keeps no state of that name", output),
                "export with --layout split");
  }
  const ValueId same = step.add_node({"", "Identity", output, {input->value}, {}, {}, ""})[0];
  step[same].open_axes = step[input->value].open_axes;
  return {output, same};
}

/// The cached step with the outputs of the first one, in their order.
Graph cached_with_all_outputs(const DecoderSteps& steps) {
  Graph cached = steps.cached;
  std::vector<NamedValue> outputs;
  for (const NamedValue& wanted : steps.first.outputs) {
    const NamedValue* made = find(cached.outputs, wanted.name);
    outputs.push_back(made != nullptr ? *made : pass_on(cached, wanted.name, steps));
  }
  cached.outputs = std::move(outputs);
  return cached;
}

/// A step as a branch that takes all inputs of the merged graph.
std::shared_ptr<const Graph> as_branch(Graph step, const Graph& merged) {
  std::vector<NamedValue> inputs;
  for (const NamedValue& input : merged.inputs) {
    const NamedValue* own = find(step.inputs, input.name);
    inputs.push_back({input.name, own != nullptr ? own->value : add_input_like(step, input.name, merged[input.value])});
  }
  step.inputs = std::move(inputs);
  return std::make_shared<const Graph>(std::move(step));
}

}  // namespace

Graph merge_steps(const DecoderSteps& steps, const std::string& condition) {
  Graph merged;
  merged.name = steps.first.name + "_merged";
  take_inputs(merged, steps.first);
  take_inputs(merged, steps.cached);
  ir::Node choose;
  choose.op = "If";
  choose.formal_inputs = 1;
  choose.bodies = {{"then_branch", as_branch(cached_with_all_outputs(steps), merged)},
                   {"else_branch", as_branch(steps.first, merged)}};
  for (const NamedValue& input : merged.inputs) choose.inputs.push_back(input.value);
  choose.inputs.insert(choose.inputs.begin(), merged.add_input(condition, {ir::DType::boolean, {ir::Dim(1)}}));
  const Graph& cached = *choose.bodies.at("then_branch");
  const std::vector<ValueId> results = merged.add_node(choose, cached.outputs.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const Value& declared = cached[cached.outputs[i].value];
    merged[results[i]].type = declared.type;
    merged[results[i]].open_axes = declared.open_axes;
    merged.add_output(cached.outputs[i].name, results[i]);
  }
  name_nodes(merged);
  return merged;
}

}  // namespace onnxport

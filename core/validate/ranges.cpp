// SPDX-License-Identifier: Apache-2.0
#include "core/validate/ranges.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "core/operators/evaluation.hpp"
#include "core/passes/fold.hpp"
#include "core/passes/lower.hpp"
#include "core/passes/mask_values.hpp"
#include "core/passes/precision.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

/// The last opset without an operator of attention: that one computes the same steps in the type, which a rule shows.
constexpr int64_t last_open_opset = 22;

/// The rules of what computes steps in the type that may leave its range, and no other.
ir::Rule rule_that_opens(const Node& node, int64_t opset, Target target) {
  return opset < precision_of(node).opens_below ? ir::find_rule(node, opset, target) : nullptr;
}

bool is_cast_to(const Node& node, ir::DType dtype) {
  return node.domain.empty() && node.op == "Cast" && node.integer("to", 0) == static_cast<int64_t>(dtype);
}

PrecisionOptions with(PrecisionOptions options, const KeptModules& kept) {
  options.keep_in_fp32.add(kept);
  return options;
}

/// Modules in the order in which they were found, each with the largest of what was.
class Found {
 public:
  void add(const Node& node, double largest) {
    const auto known =
        std::find_if(list_.begin(), list_.end(), [&](const ModuleRange& range) { return range.module == node.scope; });
    if (known == list_.end())
      list_.push_back({node.scope, node.op, largest});
    else if (largest > known->largest)
      *known = {node.scope, node.op, largest};
  }
  std::vector<ModuleRange> list() && { return std::move(list_); }

 private:
  std::vector<ModuleRange> list_;
};

}  // namespace

Ranges::Ranges(NarrowForm form) : definition_(form.definition), form_(std::move(form.precision)) {
  fold_weights(definition_, {.patches = form.patches, .weights_as_stored = form.weights_as_stored});
  watch_values();
  reference_ = load_backend("reference").load_graph(watched_);
}

/// Builds the graph that is run: that of 16 bits, without its casts to them, so that everything is computed in f32.
void Ranges::watch_values() {
  NarrowGraph narrow = narrowed(definition_, form_);
  narrow.graph.marks.clear();
  for (ValueId id = 1; id < narrow.graph.values.size(); ++id) {
    if (narrow.graph[id].type.dtype != form_.dtype || narrow.source[id] == ir::absent) continue;
    const std::string name = "value " + std::to_string(id);
    narrow.graph.marks.push_back({name, id});
    marked_values_.emplace(name, narrow.source[id]);
  }
  watched_ = apply_rules(
      narrow.graph,
      {.opset = std::min(form_.opset, last_open_opset), .keeps_composites = true, .find_rule = rule_that_opens});
  const std::vector<bool> is_brought = brought_into_range(watched_);
  std::set<ValueId> marked;
  for (const ir::NamedValue& mark : watched_.marks) {
    marked.insert(mark.value);
    // A weight as it is: one that the type does not have could not be read in it.
    ir::Value& value = watched_[mark.value];
    if (value.origin == ir::Origin::weight) value.weight = definition_[marked_values_.at(mark.name)].weight;
  }
  std::map<ValueId, ValueId> casts;
  for (const Node& node : watched_.nodes) {
    const ValueId result = node.outputs.at(0);
    if (is_cast_to(node, form_.dtype)) casts.emplace(result, node.inputs[0]);
    if (watched_[result].type.dtype != form_.dtype || !marked.insert(result).second) continue;
    const std::string name = "step " + std::to_string(result);
    watched_.marks.push_back({name, result});
    marked_steps_.emplace(name, node.scope);
  }
  std::erase_if(watched_.marks, [&](const ir::NamedValue& mark) { return is_brought[mark.value]; });
  watched_.replace(casts);
  std::erase_if(watched_.nodes, [&](const Node& node) { return casts.contains(node.outputs.at(0)); });
}

/// By value: whether a mask is in it, whose lowest number is the type's lowest by then.
std::vector<bool> Ranges::brought_into_range(const ir::Graph& graph) const {
  const double bound = ir::bound_of(form_.dtype);
  std::vector<bool> is_brought(graph.values.size(), false);
  const std::vector<bool> is_data = data_values(graph);
  const MaskValues known{.is_data = is_data,
                         .is_beyond = [&](ValueId id) { return is_brought[id]; },
                         .is_beyond_constant =
                             [&](const ir::Value& value) {
                               if (value.type.dtype != form_.dtype) return false;
                               const std::vector<double> numbers =
                                   ir::numbers_of(*value.constant).value_or(std::vector<double>());
                               return std::any_of(numbers.begin(), numbers.end(),
                                                  [&](double number) { return std::fabs(number) >= bound; });
                             }};
  for (ValueId id = 1; id < graph.values.size(); ++id) {
    if (graph[id].origin == ir::Origin::constant) is_brought[id] = known.is_beyond_constant(graph[id]);
  }
  for (const Node& node : graph.nodes) {
    const bool is_bounded = node.op == "Clip" && node.real("max", 0) == bound;
    for (ValueId id : node.outputs) is_brought[id] = is_bounded || carries_mask(graph, node, known);
  }
  return is_brought;
}

void Ranges::look_at(const Tensors& inputs) {
  std::vector<std::string> names;
  for (const ir::NamedValue& mark : watched_.marks) names.push_back(mark.name);
  if (names.empty()) return;  // nothing is in the type
  for (const auto& [name, largest] : reference_->magnitudes(inputs, names)) {
    const auto value = marked_values_.find(name);
    double& most = value != marked_values_.end() ? values_[value->second] : steps_[marked_steps_.at(name)];
    if (largest > most) most = largest;
  }
}

std::vector<ModuleRange> Ranges::beyond(double limit, const KeptModules& kept) const {
  const NarrowGraph narrow = narrowed(definition_, with(form_, kept));
  const auto is_narrow = [&](ValueId id) { return narrow.graph[id].type.dtype == form_.dtype; };
  Found found;
  for (const Node& node : narrow.graph.nodes) {
    // Of a value in another type, whoever makes and takes it is told.
    if (node.op == "Cast" && narrow.source[node.outputs.at(0)] == narrow.source[node.inputs[0]]) continue;
    if (is_cast_to(node, form_.dtype)) continue;
    for (const auto* ids : {&node.inputs, &node.outputs}) {
      for (ValueId id : *ids) {
        if (id == ir::absent || !is_narrow(id)) continue;
        const auto value = values_.find(narrow.source[id]);
        if (value != values_.end() && value->second > limit) found.add(node, value->second);
      }
    }
    const auto step = steps_.find(node.scope);
    const bool has_steps = form_.opset < precision_of(node).opens_below && is_narrow(node.outputs.at(0));
    if (has_steps && step != steps_.end() && step->second > limit) found.add(node, step->second);
  }
  return std::move(found).list();
}

std::vector<ModuleRange> keep_in_range(const std::vector<const Ranges*>& graphs, double limit, KeptModules& kept) {
  std::vector<ModuleRange> added;
  // What is kept hands its numbers on to modules that were given smaller ones before.
  for (bool is_done = false; !is_done;) {
    is_done = true;
    for (const Ranges* graph : graphs) {
      for (ModuleRange& range : graph->beyond(limit, kept)) {
        if (!kept.add({.alone = {range.module}})) continue;
        added.push_back(std::move(range));
        is_done = false;
      }
    }
  }
  return added;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/passes/lower.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/ir/builder.hpp"

namespace onnxport {

using ir::Node;
using ir::ValueId;

/// Rules that are at work inside each other. None of them leads through so many others unless they go in a circle.
constexpr size_t deepest = 32;

/// Whether what a patch built can stand for the operator: as many axes, and no other fixed length.
void check_shape(const Node& node, const ir::TensorType& wanted, const ir::TensorType& built) {
  const auto fits = [](const ir::Dim& a, const ir::Dim& b) { return !a.is_static() || !b.is_static() || a == b; };
  if (std::equal(wanted.shape.begin(), wanted.shape.end(), built.shape.begin(), built.shape.end(), fits)) return;
  throw Error(Failure::plugin,
              fmt::format("'{}': the patching spec of {} yields {}, where the operator yields {}", node.scope, node.op,
                          to_string(built), to_string(wanted)),
              "this is a defect of the plugin; tell its author, with this message");
}

/// The state of one lowering.
class LoweringPass final : public ir::LoweredGraph {
 public:
  /// `at_work`: the rules inside of which a body is lowered.
  LoweringPass(const ir::Graph& from, const RuleOptions& options, std::vector<std::string> at_work = {})
      : from_(from), options_(options), at_work_(std::move(at_work)) {
    graph.name = from.name;
    for (const Node& node : from.nodes) {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ir::Value& value = from[node.inputs[i]];
        const bool turned = node.domain == ir::composite_domain && node.op == "Linear" && i == 1;
        if (value.origin == ir::Origin::weight && !turned) plain_weights_.insert(value.weight->stored.get());
      }
    }
  }

  ir::Graph run() {
    map_.assign(from_.values.size(), ir::absent);
    for (const ir::NamedValue& input : from_.inputs) {
      map_[input.value] = graph.add_input(input.name, from_[input.value].type);
      graph[map_[input.value]].open_axes = from_[input.value].open_axes;
    }
    for (const Node& node : from_.nodes) {
      Node moved = node;
      moved.outputs.clear();
      for (ValueId& input : moved.inputs) input = moved_value(input);
      const std::vector<ValueId> results = patched(moved, node.outputs);
      for (size_t i = 0; i < results.size(); ++i) map_[node.outputs[i]] = results[i];
    }
    for (const ir::NamedValue& output : from_.outputs) {
      const ValueId moved = moved_value(output.value);
      // The definition knows best what the axes are called.
      if (graph[moved].origin == ir::Origin::node) graph[moved].type = from_[output.value].type;
      graph.add_output(output.name, moved);
    }
    for (const ir::NamedValue& mark : from_.marks) graph.marks.push_back({mark.name, moved_value(mark.value)});
    separate_outputs();
    return std::move(graph);
  }

  std::vector<ValueId> emit_with_bodies(Node node, size_t outputs) override {
    RuleOptions inside = options_;
    inside.patches.clear();
    lower_bodies(node, inside, at_work_);
    return graph.add_node(std::move(node), outputs);
  }

  std::vector<ValueId> emit(Node node, size_t outputs) override {
    const ir::Rule rule = options_.find_rule(node, options_.opset, options_.target);
    if (rule == nullptr) {
      if (node.domain == ir::composite_domain && !options_.keeps_composites) {
        throw Error(Failure::internal, fmt::format("there is no lowering of {} for opset {}", node.op, options_.opset));
      }
      return graph.add_node(std::move(node), outputs);
    }
    if (at_work_.size() >= deepest) {
      throw Error(Failure::internal,
                  fmt::format("the lowering of {} for opset {} does not end: its rules lead from {} "
                              "back to {}",
                              at_work_.front(), options_.opset, fmt::join(circle_to(node.op), " to "), node.op));
    }
    at_work_.push_back(node.op);
    node.outputs.assign(outputs, ir::absent);
    ir::Builder builder(*this, node);
    std::vector<ValueId> results = rule(builder);
    at_work_.pop_back();
    return results;
  }

  bool used_as_stored(const Weight& weight) const override { return plain_weights_.contains(weight.stored.get()); }
  int64_t opset() const override { return options_.opset; }
  bool weights_as_stored() const override { return options_.weights_as_stored; }

 private:
  static void lower_bodies(Node& node, const RuleOptions& options, const std::vector<std::string>& at_work);

  /// A node of the definition: by the patch that claims it, else by the rules.
  std::vector<ValueId> patched(Node& node, const std::vector<ValueId>& original) {
    lower_bodies(node, options_, {});
    for (const Patch& patch : options_.patches) {
      if (!patch.claims(node)) continue;
      std::vector<ir::TensorType> types;
      for (ValueId id : original) types.push_back(from_[id].type);
      node.outputs.assign(original.size(), ir::absent);
      const size_t first = graph.nodes.size();
      std::vector<ValueId> results = patch.lower(graph, {node, types});
      for (size_t i = 0; i < results.size(); ++i)
        if (results[i] != ir::absent) check_shape(node, types.at(i), graph[results[i]].type);
      return lower_tail(first, std::move(results));
    }
    return emit(std::move(node), original.size());
  }

  ValueId moved_value(ValueId id) {
    if (id == ir::absent || map_[id] != ir::absent) return map_[id];
    const ir::Value& value = from_[id];
    if (value.origin == ir::Origin::constant)
      map_[id] = graph.add_constant(*value.constant);
    else if (value.origin == ir::Origin::weight)
      map_[id] = moved_weight(value);
    return map_[id];
  }

  ValueId moved_weight(const ir::Value& value) {
    Weight weight = *value.weight;
    const auto is_cast = [](const Transform& transform) { return std::holds_alternative<CastTo>(transform); };
    // Two casts in a row may round twice, which one in the graph would not.
    const bool one_cast = std::count_if(weight.transforms.begin(), weight.transforms.end(), is_cast) == 1;
    // Eight bits are a type since opset 19.
    const bool has_type = ir::size_of(weight.stored->dtype) > 1 || options_.opset >= 19;
    // A stack is written whatever it is made of, so it is cast on the way.
    const bool is_stack = !weight.pieces().empty();
    if (!options_.weights_as_stored || !one_cast || !has_type || is_stack || !only_moves_elements(weight))
      return graph.add_weight(value.name, std::move(weight));
    std::erase_if(weight.transforms, is_cast);
    const ValueId stored = graph.add_weight(value.name, std::move(weight));
    const size_t dot = value.name.rfind('.');
    const std::string module = dot == std::string::npos ? std::string() : value.name.substr(0, dot);
    return graph.add_node({"", "Cast", module, {stored}, {}, {{"to", static_cast<int64_t>(value.type.dtype)}}, ""})[0];
  }

  /// What a patch built may hold composites of its own: lowers the nodes from `first` on.
  std::vector<ValueId> lower_tail(size_t first, std::vector<ValueId> results) {
    std::vector<Node> built(graph.nodes.begin() + static_cast<std::ptrdiff_t>(first), graph.nodes.end());
    graph.nodes.resize(first);
    std::map<ValueId, ValueId> moved;
    const auto at = [&](ValueId id) { return moved.contains(id) ? moved[id] : id; };
    for (Node& node : built) {
      for (ValueId& input : node.inputs) input = at(input);
      if (!node.domain.empty() && node.domain != ir::composite_domain) {  // somebody's own, with its types
        graph.nodes.push_back(std::move(node));
        continue;
      }
      const std::vector<ValueId> before = node.outputs;
      node.outputs.clear();
      const std::vector<ValueId> after = emit(std::move(node), before.size());
      for (size_t i = 0; i < before.size(); ++i) moved[before[i]] = after[i];
    }
    for (ValueId& result : results) result = at(result);
    return results;
  }

  /// A graph output must be a node's result of its own: an input, a weight or a value that is put out twice goes
  /// through Identity.
  void separate_outputs() {
    std::set<ValueId> taken;
    for (ir::NamedValue& output : graph.outputs) {
      if (graph[output.value].origin == ir::Origin::node && taken.insert(output.value).second) continue;
      output.value = graph.add_node({"", "Identity", "", {output.value}, {}, {}, ""})[0];
      taken.insert(output.value);
    }
  }

  /// The rules at work from the last one for an operator on.
  std::vector<std::string> circle_to(const std::string& op) const {
    const auto last = std::find(at_work_.rbegin(), at_work_.rend(), op);
    return {last == at_work_.rend() ? at_work_.begin() : last.base() - 1, at_work_.end()};
  }

  const ir::Graph& from_;
  const RuleOptions& options_;
  std::vector<ValueId> map_;
  std::vector<std::string> at_work_;  // operators whose rules are, the outermost first
  std::set<const StoredTensor*> plain_weights_;
};

void LoweringPass::lower_bodies(Node& node, const RuleOptions& options, const std::vector<std::string>& at_work) {
  for (auto& [name, body] : node.bodies)
    body = std::make_shared<const ir::Graph>(LoweringPass(*body, options, at_work).run());
}

ir::Graph apply_rules(const ir::Graph& graph, const RuleOptions& options) {
  return LoweringPass(graph, options).run();
}

}  // namespace onnxport

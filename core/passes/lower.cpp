// SPDX-License-Identifier: Apache-2.0
#include "core/passes/lower.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/ir/scalar.hpp"
#include "core/passes/builder.hpp"

namespace onnxport {

using ir::Node;
using ir::ValueId;

/// The state of one lowering.
class Lowering {
 public:
  Lowering(const ir::Graph& from, const LoweringOptions& options) : from_(from), options_(options) {
    to.name = from.name;
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
      map_[input.value] = to.add_input(input.name, from_[input.value].type);
      to[map_[input.value]].open_axes = from_[input.value].open_axes;
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
      if (to[moved].origin == ir::Origin::node) to[moved].type = from_[output.value].type;
      to.add_output(output.name, moved);
    }
    for (const ir::NamedValue& mark : from_.marks) to.marks.push_back({mark.name, moved_value(mark.value)});
    separate_outputs();
    return std::move(to);
  }

  /// Adds a node whose bodies a rule built.
  std::vector<ValueId> emit_with_bodies(Node node, size_t outputs) {
    lower_bodies(node, {.opset = options_.opset, .patches = {}, .weights_as_stored = options_.weights_as_stored});
    return to.add_node(std::move(node), outputs);
  }

  /// Adds a node of the lowered graph, lowering it first where a rule wants that.
  std::vector<ValueId> emit(Node node, size_t outputs) {
    const Rule rule = find_rule(node.domain, node.op, options_.opset);
    if (rule == nullptr) {
      if (node.domain == ir::composite_domain) {
        throw Error(Failure::internal, fmt::format("there is no lowering of {} for opset {}", node.op, options_.opset));
      }
      return to.add_node(std::move(node), outputs);
    }
    node.outputs.assign(outputs, ir::absent);
    Builder builder(*this, node);
    return rule(builder);
  }

  bool plain(const StoredTensor* stored) const { return plain_weights_.contains(stored); }
  int64_t opset() const { return options_.opset; }
  bool weights_as_stored() const { return options_.weights_as_stored; }

  ir::Graph to;

 private:
  static void lower_bodies(Node& node, const LoweringOptions& options);

  /// A node of the definition: by the patch that claims it, else by the rules.
  std::vector<ValueId> patched(Node& node, const std::vector<ValueId>& original) {
    lower_bodies(node, options_);
    for (const Patch& patch : options_.patches) {
      if (patch.domain != node.domain || patch.op != node.op) continue;
      std::vector<ir::TensorType> types;
      for (ValueId id : original) types.push_back(from_[id].type);
      node.outputs.assign(original.size(), ir::absent);
      const size_t first = to.nodes.size();
      std::vector<ValueId> results = patch.lower(to, {node, types});
      return lower_tail(first, std::move(results));
    }
    return emit(std::move(node), original.size());
  }

  ValueId moved_value(ValueId id) {
    if (id == ir::absent || map_[id] != ir::absent) return map_[id];
    const ir::Value& value = from_[id];
    if (value.origin == ir::Origin::constant)
      map_[id] = to.add_constant(*value.constant);
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
      return to.add_weight(value.name, std::move(weight));
    std::erase_if(weight.transforms, is_cast);
    const ValueId stored = to.add_weight(value.name, std::move(weight));
    const size_t dot = value.name.rfind('.');
    const std::string module = dot == std::string::npos ? std::string() : value.name.substr(0, dot);
    return to.add_node({"", "Cast", module, {stored}, {}, {{"to", static_cast<int64_t>(value.type.dtype)}}, ""})[0];
  }

  /// What a patch built may hold composites of its own: lowers the nodes from `first` on.
  std::vector<ValueId> lower_tail(size_t first, std::vector<ValueId> results) {
    std::vector<Node> built(to.nodes.begin() + static_cast<std::ptrdiff_t>(first), to.nodes.end());
    to.nodes.resize(first);
    std::map<ValueId, ValueId> moved;
    const auto at = [&](ValueId id) { return moved.contains(id) ? moved[id] : id; };
    for (Node& node : built) {
      for (ValueId& input : node.inputs) input = at(input);
      if (!node.domain.empty() && node.domain != ir::composite_domain) {  // somebody's own, with its types
        to.nodes.push_back(std::move(node));
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
    for (ir::NamedValue& output : to.outputs) {
      if (to[output.value].origin == ir::Origin::node && taken.insert(output.value).second) continue;
      output.value = to.add_node({"", "Identity", "", {output.value}, {}, {}, ""})[0];
      taken.insert(output.value);
    }
  }

  const ir::Graph& from_;
  const LoweringOptions& options_;
  std::vector<ValueId> map_;
  std::set<const StoredTensor*> plain_weights_;
};

int64_t Builder::opset() const {
  return lowering_.opset();
}
const ir::Value& Builder::value(ValueId id) const {
  return lowering_.to[id];
}
ir::Graph& Builder::graph() {
  return lowering_.to;
}

std::vector<ValueId> Builder::ops(const std::string& domain, const std::string& name, std::vector<ValueId> inputs,
                                  ir::Attributes attributes, size_t outputs) {
  Node node;
  node.domain = domain;
  node.op = name;
  node.scope = scope_;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  return lowering_.emit(std::move(node), outputs);
}

std::vector<ValueId> Builder::run(ir::Node node, size_t outputs) {
  node.scope = node_.scope;
  return lowering_.emit_with_bodies(std::move(node), outputs);
}

ValueId Builder::op(const std::string& name, std::vector<ValueId> inputs, ir::Attributes attributes) {
  return ops("", name, std::move(inputs), std::move(attributes), 1)[0];
}
ValueId Builder::composite(const std::string& name, std::vector<ValueId> inputs, ir::Attributes attributes) {
  return ops(ir::composite_domain, name, std::move(inputs), std::move(attributes), 1)[0];
}

ValueId Builder::scalar(double value, ir::DType dtype) {
  return graph().add_constant(ir::scalar(value, dtype));
}
ValueId Builder::integers(std::vector<int64_t> values) {
  return graph().add_constant(ir::Tensor::i64(std::move(values)));
}
ValueId Builder::integer(int64_t value) {
  return graph().add_constant(ir::Tensor::i64_scalar(value));
}

ValueId Builder::length(ValueId x, size_t axis) {
  const ir::Dim dim = shape(x).at(axis);
  if (dim.is_static()) return integers({dim.size()});
  ValueId source = x;
  for (const ir::NamedValue& input : graph().inputs) {
    const ir::Shape& candidate = shape(input.value);
    const auto found = std::find(candidate.begin(), candidate.end(), dim);
    if (found == candidate.end()) continue;
    source = input.value;
    axis = static_cast<size_t>(found - candidate.begin());
    break;
  }
  const auto at = static_cast<int64_t>(axis);
  return op("Shape", {source}, {{"start", at}, {"end", at + 1}});
}

bool Builder::stored_layout_needed(ValueId weight) const {
  const ir::Value& it = value(weight);
  return lowering_.weights_as_stored() || (it.origin == ir::Origin::weight && lowering_.plain(it.weight->stored.get()));
}

namespace {

/// Everything but the names, which are given to a file as a whole.
ir::Graph lower_nameless(const ir::Graph& graph, const LoweringOptions& options) {
  ir::Graph folded = graph;
  fold_weights(folded, options.patches);
  ir::Graph lowered = Lowering(folded, options).run();
  merge_equal_nodes(lowered);
  remove_unused_nodes(lowered);
  return lowered;
}

}  // namespace

void Lowering::lower_bodies(Node& node, const LoweringOptions& options) {
  for (auto& [name, body] : node.bodies) body = std::make_shared<const ir::Graph>(lower_nameless(*body, options));
}

ir::Graph lower(const ir::Graph& graph, const LoweringOptions& options) {
  ir::Graph lowered = lower_nameless(graph, options);
  name_nodes(lowered);
  return lowered;
}

}  // namespace onnxport

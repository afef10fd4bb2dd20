// SPDX-License-Identifier: Apache-2.0
#include "core/passes/precision.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "core/passes/bounded_constant.hpp"
#include "core/passes/mask_values.hpp"

namespace onnxport {

namespace {

using ir::DType;
using ir::Node;
using ir::ValueId;

bool contains(const std::vector<size_t>& inputs, size_t input) {
  return std::find(inputs.begin(), inputs.end(), input) != inputs.end();
}

/// The nodes that make what decides something, such as a router's scores, from its own product on.
std::set<const Node*> deciders_of(const ir::Graph& graph) {
  std::set<ValueId> decisive;
  std::set<const Node*> deciders;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const ir::Precision& precision = precision_of(*node);
    for (size_t input : precision.deciding_inputs) decisive.insert(node->input(input));
    if (std::none_of(node->outputs.begin(), node->outputs.end(), [&](ValueId id) { return decisive.contains(id); }))
      continue;
    deciders.insert(&*node);
    if (!precision.product) decisive.insert(node->inputs.begin(), node->inputs.end());
  }
  return deciders;
}

/// The inputs into which the graph writes, as into a cache of a fixed length. They keep their type, and are much longer
/// than what a step reads of them or writes.
std::set<ValueId> buffers_of(const ir::Graph& graph) {
  std::set<ValueId> buffers;
  for (const Node& node : graph.nodes) {
    const ValueId into = node.op == "ScatterND" ? node.input(0) : ir::absent;
    if (into != ir::absent && graph[into].origin == ir::Origin::input) buffers.insert(into);
  }
  return buffers;
}

class InPrecision {
 public:
  InPrecision(const ir::Graph& from, const PrecisionOptions& options)
      : from_(from),
        options_(options),
        deciders_(deciders_of(from)),
        buffers_(buffers_of(from)),
        is_data_(data_values(from)) {}

  NarrowGraph run() {
    to_.name = from_.name;
    map_.assign(from_.values.size(), ir::absent);
    for (const ir::NamedValue& input : from_.inputs) {
      map_[input.value] = to_.add_input(input.name, from_[input.value].type);
      to_[map_[input.value]].open_axes = from_[input.value].open_axes;
    }
    for (const Node& node : from_.nodes) move(node);
    for (const ir::NamedValue& output : from_.outputs)
      to_.add_output(output.name, as(output.value, from_[output.value].type.dtype, {}));
    for (const ir::NamedValue& mark : from_.marks) {
      if (map_[mark.value] != ir::absent) to_.marks.push_back({mark.name, map_[mark.value]});
    }
    std::vector<ValueId> known = sources();
    return {std::move(to_), std::move(known)};
  }

 private:
  bool is_float(ValueId id) const { return id != ir::absent && from_[id].type.dtype == DType::f32; }

  bool stays_wide(const Node& node) const {
    if (!node.bodies.empty()) return true;  // a body is computed in the types that it was defined with
    if (deciders_.contains(&node)) return true;
    // What is taken of a buffer is cast, and what is put into it, but not the whole.
    if ((node.op == "Slice" || node.op == "ScatterND") && buffers_.contains(node.input(0))) return true;
    const ir::Precision& precision = precision_of(node);
    if (options_.opset < precision.wide_below) return true;
    if (options_.dtype == DType::bf16 && options_.opset < precision.wide_in_bf16_below) return true;
    if (takes_number_beyond(from_, node, masks_)) return true;
    return options_.keep_in_fp32.holds(node.scope);
  }

  /// Whether the value is stored or computed in the type: a weight, an input, or the result of a node that is.
  bool is_narrow(ValueId id) const {
    if (!is_float(id)) return false;
    switch (from_[id].origin) {
      case ir::Origin::weight:
      case ir::Origin::input:
        return true;
      case ir::Origin::node:
        return to_[map_[id]].type.dtype == options_.dtype;
      default:
        return false;
    }
  }

  void move(const Node& node) {
    Node moved = node;
    moved.outputs.clear();
    const bool narrow = !stays_wide(node) && std::any_of(node.inputs.begin(), node.inputs.end(),
                                                         [this](ValueId id) { return is_narrow(id); });
    const ir::Precision& precision = precision_of(node);
    const bool beyond = carries_mask(from_, node, masks_);
    for (size_t i = 0; i < moved.inputs.size(); ++i) {
      ValueId& input = moved.inputs[i];
      const bool wide = !narrow || contains(precision.wide_inputs, i);
      input = is_float(input) ? as(input, wide ? DType::f32 : options_.dtype, node.scope) : plain(input);
    }
    const std::vector<ValueId> results = to_.add_node(std::move(moved), node.outputs.size());
    for (size_t i = 0; i < results.size(); ++i) {
      map_[node.outputs[i]] = results[i];
      if (beyond && to_[results[i]].type.dtype == DType::f32) beyond_.insert(node.outputs[i]);
    }
  }

  /// Whether a value in f32 may hold numbers that the type does not have.
  bool is_beyond(ValueId id) const {
    if (!is_float(id)) return false;
    return from_[id].origin == ir::Origin::constant ? is_beyond_constant(from_[id]) : beyond_.contains(id);
  }
  bool is_beyond_constant(const ir::Value& value) const {
    return value.type.dtype == DType::f32 && onnxport::is_beyond(*value.constant, options_.dtype);
  }

  /// A value that has no other type than its own.
  ValueId plain(ValueId id) {
    if (id == ir::absent || map_[id] != ir::absent) return map_[id];
    const ir::Value& value = from_[id];
    map_[id] = value.origin == ir::Origin::constant ? to_.add_constant(*value.constant)
                                                    : to_.add_weight(value.name, *value.weight);
    return map_[id];
  }

  /// A value of f32 in the definition as one of `dtype`.
  ValueId as(ValueId id, DType dtype, const std::string& scope) {
    if (!is_float(id)) return plain(id);
    const ir::Value& value = from_[id];
    if (value.origin == ir::Origin::constant)
      return to_.add_constant(dtype == DType::f32 ? *value.constant : bounded_as(*value.constant, dtype));
    if (value.origin == ir::Origin::weight) {
      const ValueId weight = to_.add_weight(value.name, weight_as(*value.weight, dtype));
      weights_.emplace(weight, id);
      return weight;
    }
    ValueId moved = map_[id];
    if (to_[moved].type.dtype == dtype) return moved;
    const auto [known, fresh] = casts_.try_emplace({id, dtype});
    if (!fresh) return known->second;
    if (dtype == options_.dtype && beyond_.contains(id)) {
      const double bound = ir::bound_of(dtype);
      moved = to_.add_node({"", "Clip", scope, {moved}, {}, {{"min", -bound}, {"max", bound}}, ""})[0];
    }
    known->second = to_.add_node({"", "Cast", scope, {moved}, {}, {{"to", static_cast<int64_t>(dtype)}}, ""})[0];
    return known->second;
  }

  std::vector<ValueId> sources() const {
    std::vector<ValueId> sources(to_.values.size(), ir::absent);
    for (ValueId id = 0; id < map_.size(); ++id) {
      if (map_[id] != ir::absent) sources[map_[id]] = id;
    }
    for (const auto& [weight, id] : weights_) sources[weight] = id;
    for (const auto& [of, cast] : casts_) {
      const bool is_brought_into_range = of.second == options_.dtype && beyond_.contains(of.first);
      if (!is_brought_into_range) sources[cast] = of.first;
    }
    return sources;
  }

  /// A checkpoint that has the type already is not cast there and back.
  static Weight weight_as(Weight weight, DType dtype) {
    if (weight.dtype() == dtype) return weight;
    if (std::vector<Weight> pieces = weight.pieces(); !pieces.empty()) {
      for (Weight& piece : pieces) piece = weight_as(piece, dtype);
      return stacked(pieces);
    }
    if (!only_moves_elements(weight)) return weight.then(CastTo{dtype});
    const size_t casts = static_cast<size_t>(
        std::count_if(weight.transforms.begin(), weight.transforms.end(),
                      [](const Transform& transform) { return std::holds_alternative<CastTo>(transform); }));
    if (casts == 1 && weight.stored->dtype == dtype) {
      std::erase_if(weight.transforms,
                    [](const Transform& transform) { return std::holds_alternative<CastTo>(transform); });
      return weight;
    }
    // f16 and bf16 hold no other type's numbers exactly but f32 holds both, so one cast from what is stored says the
    // same.
    for (Transform& transform : weight.transforms) {
      if (casts == 1 && std::holds_alternative<CastTo>(transform) && weight.stored->dtype != DType::f64) {
        transform = CastTo{dtype};
        return weight;
      }
    }
    return weight.then(CastTo{dtype});
  }

  const ir::Graph& from_;
  const PrecisionOptions& options_;
  const std::set<const Node*> deciders_;
  const std::set<ValueId> buffers_;
  const std::vector<bool> is_data_;
  const MaskValues masks_{.is_data = is_data_,
                          .is_beyond = [this](ValueId id) { return is_beyond(id); },
                          .is_beyond_constant = [this](const ir::Value& value) { return is_beyond_constant(value); }};
  ir::Graph to_;
  std::vector<ValueId> map_;
  std::set<ValueId> beyond_;
  std::map<std::pair<ValueId, DType>, ValueId> casts_;
  std::map<ValueId, ValueId> weights_;  // by those of the new graph
};

}  // namespace

ir::Graph to_precision(const ir::Graph& graph, const PrecisionOptions& options) {
  return narrowed(graph, options).graph;
}

NarrowGraph narrowed(const ir::Graph& graph, const PrecisionOptions& options) {
  return InPrecision(graph, options).run();
}

}  // namespace onnxport

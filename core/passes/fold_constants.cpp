// SPDX-License-Identifier: Apache-2.0
#include "core/passes/fold_constants.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/ir/infer_again.hpp"
#include "core/ir/operators.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

class ConstantFolding {
 public:
  ConstantFolding(ir::Graph& graph, uint64_t most_bytes) : g_(graph), most_bytes_(most_bytes) {
    for (const ir::NamedValue& output : g_.outputs) outputs_.insert(output.value);
  }

  void run() {
    std::vector<Node> kept;
    for (Node& node : g_.nodes) {
      for (ValueId& input : node.inputs) input = now(input);
      ir::rewrite_bodies(node, [this](ir::Graph& body) { fold_constants(body, most_bytes_); });
      const ir::Evaluated results = result_of(node);
      if (!results) {
        kept.push_back(std::move(node));
        continue;
      }
      for (size_t i = 0; i < results->size(); ++i) constants_[node.outputs[i]] = g_.add_constant((*results)[i]);
    }
    g_.nodes = std::move(kept);
    for (ir::NamedValue& mark : g_.marks) mark.value = now(mark.value);
  }

 private:
  ValueId now(ValueId id) const {
    const auto found = constants_.find(id);
    return found == constants_.end() ? id : found->second;
  }

  ir::Evaluated result_of(const Node& node) const {
    // An output of the graph is a node's own.
    const auto is_put_out = [this](ValueId id) { return outputs_.contains(id); };
    if (!node.bodies.empty() || std::any_of(node.outputs.begin(), node.outputs.end(), is_put_out)) return std::nullopt;
    if (const ir::Evaluated lengths = contents_of(node)) return lengths;
    std::vector<const ir::Tensor*> inputs;
    std::vector<ir::TensorType> types;
    uint64_t taken = 0;
    for (ValueId id : node.inputs) {
      if (id != ir::absent && g_[id].origin != ir::Origin::constant) return std::nullopt;
      inputs.push_back(id == ir::absent ? nullptr : g_[id].constant.get());
      if (id != ir::absent) taken += g_[id].constant->data.size();
    }
    uint64_t made = 0;
    for (ValueId id : node.outputs) {
      types.push_back(g_[id].type);
      const auto count = ir::element_count(types.back().shape);
      if (!count) return std::nullopt;
      made += static_cast<uint64_t>(*count) * ir::size_of(types.back().dtype);
    }
    if (inputs.empty() || made > std::max(most_bytes_, taken)) return std::nullopt;
    return ir::evaluate({node, inputs, types});
  }

  /// Numbers that inference knows: lengths of axes, and what is computed of these.
  ir::Evaluated contents_of(const Node& node) const {
    const ir::Value& value = g_[node.outputs[0]];
    if (node.outputs.size() != 1 || !value.contents || value.type.dtype != ir::DType::i64) return std::nullopt;
    std::vector<int64_t> numbers, shape;
    for (const ir::Dim& number : *value.contents) {
      if (!number.is_static()) return std::nullopt;
      numbers.push_back(number.size());
    }
    if (value.type.shape.size() > 1 || (value.type.shape.empty() && numbers.size() != 1)) return std::nullopt;
    if (!value.type.shape.empty()) shape.push_back(static_cast<int64_t>(numbers.size()));
    return Evaluated{{ir::Tensor::of<int64_t>(ir::DType::i64, shape, numbers)}};
  }
  using Evaluated = ir::Evaluated;

  ir::Graph& g_;
  const uint64_t most_bytes_;
  std::set<ValueId> outputs_;
  std::map<ValueId, ValueId> constants_;  // what stands for a result
};

}  // namespace

void fold_constants(ir::Graph& graph, uint64_t most_bytes) {
  ConstantFolding(graph, most_bytes).run();
}

void fold_lengths(ir::Graph& graph, uint64_t most_bytes) {
  for (size_t before = graph.nodes.size() + 1; graph.nodes.size() < before;) {
    before = graph.nodes.size();
    fold_constants(graph, most_bytes);
    std::vector<ir::Shape> named;
    for (const ir::NamedValue& output : graph.outputs) named.push_back(graph[output.value].type.shape);
    ir::infer_again(graph);
    for (size_t i = 0; i < named.size(); ++i) {
      ir::Shape& shape = graph[graph.outputs[i].value].type.shape;
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        if (!shape[axis].is_static()) shape[axis] = named[i].at(axis);
      }
    }
  }
}

}  // namespace onnxport

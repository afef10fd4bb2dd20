// SPDX-License-Identifier: Apache-2.0
#include "core/validate/activations.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/ir/lengths.hpp"
#include "core/ir/operators.hpp"

namespace onnxport {
namespace {

/// The symbols of the graph's inputs, as these tensors have them.
ir::Lengths lengths_of(const ir::Graph& graph, const Tensors& inputs) {
  ir::Lengths lengths;
  for (const ir::NamedValue& input : graph.inputs) {
    const auto given = inputs.find(input.name);
    const ir::Shape& shape = graph[input.value].type.shape;
    if (given == inputs.end() || given->second.shape.size() != shape.size()) continue;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const ir::Dim& dim = shape[axis];
      const bool plain = dim.terms().size() == 1 && dim.constant() == 0 && dim.terms()[0].second == 1;
      if (plain) lengths[dim.terms()[0].first] = given->second.shape[axis];
    }
  }
  return lengths;
}

uint64_t bytes_of(const ir::TensorType& type, const ir::Lengths& lengths) {
  const int64_t count = element_count(type.shape, lengths).value_or(0);
  return static_cast<uint64_t>(std::max<int64_t>(0, count)) * size_of(type.dtype);
}

/// What an operator holds while it runs and does not yield: an attention's scores, as they are, with what is added to
/// them and as probabilities.
uint64_t passing_bytes(const ir::Graph& graph, const ir::Node& node, const ir::Lengths& lengths) {
  if (node.domain != ir::composite_domain || node.op != "Attention") return 0;
  const auto& shape_of = [&](size_t input) -> const ir::Shape& { return graph[node.inputs.at(input)].type.shape; };
  const auto length_axis = [](const ir::Shape& shape) { return shape.size() == 4 ? size_t{2} : size_t{1}; };
  const ir::Shape &q = shape_of(ir::AttentionInput::q), &k = shape_of(ir::AttentionInput::k);
  ir::Dim keys = k[length_axis(k)];
  if (node.input(ir::AttentionInput::past_key) != ir::absent) keys = keys + shape_of(ir::AttentionInput::past_key)[2];
  const ir::Shape scores{q[0], ir::Dim(node.integer("heads", 1)), q[length_axis(q)], keys};
  return 3 * bytes_of({ir::DType::f32, scores}, lengths);
}

}  // namespace

uint64_t activation_bytes(const ir::Graph& graph, const Tensors& inputs) {
  const ir::Lengths lengths = lengths_of(graph, inputs);
  std::vector<size_t> last_use(graph.values.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ir::ValueId id : graph.nodes[i].inputs) last_use[id] = i;
  }
  for (const ir::NamedValue& output : graph.outputs) last_use[output.value] = graph.nodes.size();

  uint64_t held = 0, most = 0;
  for (const ir::NamedValue& input : graph.inputs) held += bytes_of(graph[input.value].type, lengths);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const ir::Node& node = graph.nodes[i];
    for (ir::ValueId id : node.outputs) held += bytes_of(graph[id].type, lengths);
    most = std::max(most, held + passing_bytes(graph, node, lengths));
    std::vector<ir::ValueId> ended = node.outputs;
    ended.insert(ended.end(), node.inputs.begin(), node.inputs.end());
    std::sort(ended.begin(), ended.end());
    ended.erase(std::unique(ended.begin(), ended.end()), ended.end());
    for (ir::ValueId id : ended) {
      const bool is_result = id != ir::absent && graph[id].origin == ir::Origin::node;
      if (is_result && last_use[id] <= i) held -= bytes_of(graph[id].type, lengths);
    }
  }
  return most;
}

uint64_t result_bytes(const ir::Graph& graph, const Tensors& inputs) {
  const ir::Lengths lengths = lengths_of(graph, inputs);
  uint64_t all = 0;
  for (const ir::Node& node : graph.nodes) {
    for (ir::ValueId id : node.outputs) all += bytes_of(graph[id].type, lengths);
  }
  return all;
}

uint64_t tensor_bytes(const ir::TensorType& type, const ir::Lengths& lengths) {
  constexpr auto most = std::numeric_limits<uint64_t>::max();
  auto bytes = static_cast<double>(size_of(type.dtype));
  for (const ir::Dim& dim : type.shape) bytes *= static_cast<double>(length_of(dim, lengths).value_or(1));
  return bytes < static_cast<double>(most) ? static_cast<uint64_t>(std::max(0.0, bytes)) : most;
}

}  // namespace onnxport

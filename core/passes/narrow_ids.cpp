// SPDX-License-Identifier: Apache-2.0
#include "core/passes/narrow_ids.hpp"

#include <algorithm>

namespace onnxport {
namespace {

using ir::DType;
using ir::Node;
using ir::ValueId;

/// Whether the node takes that input in 32 bits as well, and yields the same.
bool takes_both(const Node& node, size_t input) {
  if (!node.domain.empty()) return false;
  return node.op == "Shape" || node.op == "Cast" || (node.op == "Gather" && input == 1);
}

}  // namespace

void narrow_ids(ir::Graph& graph) {
  std::vector<Node> casts;
  for (const ir::NamedValue& input : graph.inputs) {
    if (graph[input.value].type.dtype != DType::i64 || graph[input.value].type.shape.empty()) continue;
    ir::Value wide;
    wide.origin = ir::Origin::node;
    wide.type = graph[input.value].type;
    graph[input.value].type.dtype = DType::i32;
    const ValueId cast = graph.add_value(std::move(wide));
    for (Node& node : graph.nodes) {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] == input.value && !takes_both(node, i)) node.inputs[i] = cast;
      }
    }
    for (ir::NamedValue& output : graph.outputs) {
      if (output.value == input.value) output.value = cast;
    }
    casts.push_back({"", "Cast", input.name, {input.value}, {cast}, {{"to", static_cast<int64_t>(DType::i64)}}, ""});
  }
  graph.nodes.insert(graph.nodes.begin(), casts.begin(), casts.end());
}

}  // namespace onnxport

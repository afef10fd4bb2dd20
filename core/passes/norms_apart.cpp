// SPDX-License-Identifier: Apache-2.0
#include "core/passes/norms_apart.hpp"

#include <map>
#include <set>

#include "core/ir/operators.hpp"

namespace onnxport {

void keep_norms_apart(ir::Graph& graph) {
  std::map<ir::ValueId, size_t> readers;
  std::set<ir::ValueId> normed;
  for (const ir::Node& node : graph.nodes) {
    for (const ir::ValueId input : node.inputs) ++readers[input];
    if (node.domain == ir::composite_domain && node.op == "LayerNorm") normed.insert(node.input(0));
  }
  for (const ir::NamedValue& output : graph.outputs) ++readers[output.value];
  for (ir::Node& node : graph.nodes) {
    if (node.op != "Add" || !node.domain.empty()) continue;
    const ir::ValueId sum = node.outputs[0];
    const auto is_as_large = [&](ir::ValueId input) { return graph[input].type.shape == graph[sum].type.shape; };
    if (normed.contains(sum) && readers[sum] == 1 && is_as_large(node.input(0)) && is_as_large(node.input(1)))
      node.op = "Sum";
  }
}

}  // namespace onnxport

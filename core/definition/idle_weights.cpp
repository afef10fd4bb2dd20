// SPDX-License-Identifier: Apache-2.0
#include "core/definition/idle_weights.hpp"

#include <algorithm>
#include <set>

namespace onnxport {

std::vector<std::string> idle_weights(const ir::Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  for (const ir::NamedValue& output : graph.outputs) needed[output.value] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool any =
        std::any_of(node->outputs.begin(), node->outputs.end(), [&](ir::ValueId id) { return needed[id]; });
    if (!any) continue;
    for (const ir::ValueId input : node->inputs) needed[input] = true;
  }
  std::set<std::string> names;
  for (size_t id = 0; id < graph.values.size(); ++id) {
    if (graph.values[id].origin == ir::Origin::weight && !needed[id]) names.insert(graph.values[id].name);
  }
  return {names.begin(), names.end()};
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/export/avoided_operators.hpp"

#include <algorithm>
#include <iterator>
#include <set>

namespace onnxport {

std::vector<std::string> avoided_operators(const OnnxConfig& config, const Definition& definition,
                                           const GraphForm& form, int64_t wanted) {
  const auto operators_at = [&](int64_t opset) {
    GraphForm other = form;
    other.opset = opset;
    other.weights_as_stored = true;  // nothing is read for it
    std::set<std::string> names;
    for (const ir::Node& node : lowered_graph(config, definition, definition.graph, other).nodes) names.insert(node.op);
    return names;
  };
  const std::set<std::string> better = operators_at(wanted), written = operators_at(form.opset);
  std::vector<std::string> avoided;
  std::set_difference(better.begin(), better.end(), written.begin(), written.end(), std::back_inserter(avoided));
  return avoided;
}

}  // namespace onnxport

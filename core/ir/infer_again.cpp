// SPDX-License-Identifier: Apache-2.0
#include "core/ir/infer_again.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "core/error.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::ir {

void infer_again(Graph& graph, const std::function<void(TensorType&)>& of_body) {
  for (Node& node : graph.nodes) {
    rewrite_bodies(node, [&](Graph& body) {
      const size_t captures = node.inputs.size() - node.formal_inputs, own = body.inputs.size() - captures;
      for (size_t i = 0; i < body.inputs.size(); ++i) {
        Value& input = body[body.inputs[i].value];
        if (i >= own)
          input.type = graph[node.inputs[node.formal_inputs + i - own]].type;
        else if (of_body)
          of_body(input.type);
      }
      infer_again(body, of_body);
    });
    const Operator* op = find_operator(node.domain, node.op);
    if (op == nullptr) continue;  // somebody's own, whose types stay
    std::vector<Value> results(node.outputs.size());
    Inference inference{graph, node, results};
    try {
      op->infer(inference);
    } catch (const std::invalid_argument& problem) {
      throw Error(Failure::usage, fmt::format("{}: {}: {}", node.scope.empty() ? "the model" : "'" + node.scope + "'",
                                              describe(graph, node), problem.what()));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      Value& value = graph[node.outputs[i]];
      value.type = std::move(results[i].type);
      value.contents = std::move(results[i].contents);
    }
  }
}

}  // namespace onnxport::ir

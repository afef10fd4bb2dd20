// SPDX-License-Identifier: Apache-2.0
#include "core/ir/functions.hpp"

#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

void infer(Inference& x) {
  const Graph& body = *x.node.bodies.at(function_body);
  if (x.node.inputs.size() != body.inputs.size())
    refuse(fmt::format("takes {} inputs, and its graph {}", x.node.inputs.size(), body.inputs.size()));
  if (x.results.size() != body.outputs.size())
    refuse(fmt::format("yields {} values, and its graph {}", x.results.size(), body.outputs.size()));
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    const DType given = x.in(i).type.dtype, taken = body[body.inputs[i].value].type.dtype;
    if (given != taken)
      refuse(fmt::format("input {} is {}, and its graph takes {}", i, name_of(given), name_of(taken)));
  }
  for (size_t i = 0; i < x.results.size(); ++i) x.results[i].type = body[body.outputs[i].value].type;
}

}  // namespace

const Operator& function_operator() {
  static const Operator row{.inputs = {0, any_number}, .max_outputs = any_number, .infer = infer};
  return row;
}

const Operator* operator_of(const Node& node) {
  return is_function(node) ? &function_operator() : find_operator(node.domain, node.op);
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
#include "core/passes/mask_values.hpp"

#include <algorithm>

namespace onnxport {
namespace {

using ir::Origin;
using ir::ValueId;

bool is_float(ir::DType dtype) {
  return dtype == ir::DType::f32 || dtype == ir::DType::f16 || dtype == ir::DType::bf16;
}

bool takes_data(const ir::Node& node, const std::vector<bool>& is_data) {
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return is_data[id]; });
}

}  // namespace

const ir::Precision& precision_of(const ir::Node& node) {
  static const ir::Precision none;
  const ir::Operator* op = ir::find_operator(node.domain, node.op);
  return op == nullptr ? none : op->precision;
}

std::vector<bool> data_values(const ir::Graph& graph) {
  std::vector<bool> is_data(graph.values.size(), false);
  for (ValueId id = 1; id < graph.values.size(); ++id) {
    const ir::Value& value = graph[id];
    is_data[id] = is_float(value.type.dtype) && (value.origin == Origin::weight || value.origin == Origin::input);
  }
  for (const ir::Node& node : graph.nodes) {
    if (!takes_data(node, is_data)) continue;
    for (ValueId id : node.outputs) is_data[id] = is_float(graph[id].type.dtype);
  }
  return is_data;
}

bool takes_number_beyond(const ir::Graph& graph, const ir::Node& node, const MaskValues& known) {
  using enum ir::Precision::Numbers;
  const ir::Precision::Numbers numbers = precision_of(node).numbers;
  if (numbers == none || !takes_data(node, known.is_data)) return false;
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
    const ir::Value& value = graph[id];
    if (value.origin != Origin::constant) return false;
    return (numbers == any || value.constant->element_count() == 1) && known.is_beyond_constant(value);
  });
}

bool carries_mask(const ir::Graph& graph, const ir::Node& node, const MaskValues& known) {
  using enum ir::Precision::Beyond;
  const ir::Precision& precision = precision_of(node);
  if (precision.beyond != as_inputs) return precision.beyond == always;
  if (takes_number_beyond(graph, node, known)) return false;
  // No mask is left in a product with weights, be it what a maximum over tokens leaves out.
  if (precision.product && takes_data(node, known.is_data)) return false;
  return std::any_of(node.inputs.begin(), node.inputs.end(), known.is_beyond);
}

}  // namespace onnxport

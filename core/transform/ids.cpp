// SPDX-License-Identifier: Apache-2.0
#include "core/transform/ids.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <string>

namespace onnxport {
namespace {

/// Calls `visit` with each input of each node, in graphs within the graph as well.
void visit_uses(pb::GraphProto& graph, const std::function<void(pb::NodeProto&, int)>& visit) {
  for (pb::NodeProto& node : *graph.mutable_node()) {
    for (int i = 0; i < node.input_size(); ++i) visit(node, i);
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) visit_uses(*attribute.mutable_g(), visit);
    }
  }
}

bool takes_both(const pb::NodeProto& node, int input) {
  if (!node.domain().empty()) return false;
  return node.op_type() == "Shape" || node.op_type() == "Cast" || (node.op_type() == "Gather" && input == 1);
}

bool is_wide_ids(const pb::ValueInfoProto& input) {
  const auto& type = input.type().tensor_type();
  return input.type().has_tensor_type() && type.elem_type() == pb::TensorProto::INT64 && type.has_shape() &&
         type.shape().dim_size() > 0;
}

}  // namespace

size_t narrow_ids(ModelParts& model) {
  pb::GraphProto& graph = *model.model.mutable_graph();
  std::set<std::string> weights;
  for (const StreamedInitializer& weight : model.weights) weights.insert(weight.header.name());
  for (const auto& weight : graph.initializer()) weights.insert(weight.name());
  google::protobuf::RepeatedPtrField<pb::NodeProto> nodes;
  size_t narrowed = 0;
  for (pb::ValueInfoProto& input : *graph.mutable_input()) {
    if (!is_wide_ids(input) || weights.contains(input.name())) continue;
    ++narrowed;
    input.mutable_type()->mutable_tensor_type()->set_elem_type(pb::TensorProto::INT32);
    const std::string wide = input.name() + "/int64";
    bool is_used = false;
    visit_uses(graph, [&](pb::NodeProto& node, int i) {
      if (node.input(i) != input.name() || takes_both(node, i)) return;
      node.set_input(i, wide);
      is_used = true;
    });
    if (!is_used) continue;
    pb::NodeProto& cast = *nodes.Add();
    cast.set_name(input.name() + "/Cast");
    cast.set_op_type("Cast");
    cast.add_input(input.name());
    cast.add_output(wide);
    pb::AttributeProto& to = *cast.add_attribute();
    to.set_name("to");
    to.set_type(pb::AttributeProto_AttributeType_INT);
    to.set_i(pb::TensorProto::INT64);
  }
  for (pb::NodeProto& node : *graph.mutable_node()) *nodes.Add() = std::move(node);
  graph.mutable_node()->Swap(&nodes);
  return narrowed;
}

}  // namespace onnxport

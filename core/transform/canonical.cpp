// SPDX-License-Identifier: Apache-2.0
// Nodes of files in the form that the graph has: what is an input of a file, and an attribute of the graph, is moved.
#include "core/transform/canonical.hpp"

#include <numeric>

#include "core/error.hpp"
#include "core/ir/operators.hpp"
#include "core/transform/values.hpp"

namespace onnxport {
namespace {

using Inputs = std::vector<const ir::Tensor*>;

std::optional<ir::Attribute> to_attribute(const pb::AttributeProto& proto) {
  switch (proto.type()) {
    case pb::AttributeProto_AttributeType_INT:
      return proto.i();
    case pb::AttributeProto_AttributeType_FLOAT:
      return static_cast<double>(proto.f());
    case pb::AttributeProto_AttributeType_STRING:
      return proto.s();
    case pb::AttributeProto_AttributeType_INTS:
      return std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
    case pb::AttributeProto_AttributeType_FLOATS:
      return std::vector<double>(proto.floats().begin(), proto.floats().end());
    default:
      return std::nullopt;
  }
}

/// The operand's elements as an attribute of that kind.
std::optional<ir::Attribute> to_attribute(const ir::Tensor& tensor, const ir::AttributeSpec& spec) {
  if (spec.kind == ir::AttributeKind::integers || spec.kind == ir::AttributeKind::integer) {
    std::vector<int64_t> values;
    if (tensor.dtype == ir::DType::i64)
      values.assign(tensor.as<int64_t>().begin(), tensor.as<int64_t>().end());
    else if (tensor.dtype == ir::DType::i32)
      values.assign(tensor.as<int32_t>().begin(), tensor.as<int32_t>().end());
    else
      return std::nullopt;
    if (spec.kind == ir::AttributeKind::integers) return values;
    return values.size() == 1 ? std::optional<ir::Attribute>(values[0]) : std::nullopt;
  }
  if (tensor.dtype != ir::DType::f32 || tensor.element_count() != 1) return std::nullopt;
  return static_cast<double>(tensor.as<float>()[0]);
}

std::vector<int64_t> counted(size_t count) {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// Attributes that mean nothing with that value, and which the graph does not have.
bool is_without_effect(const pb::AttributeProto& attribute) {
  return attribute.type() == pb::AttributeProto_AttributeType_INT &&
         (attribute.name() == "saturate"
              ? attribute.i() == 1
              : attribute.i() == 0 && (attribute.name() == "allowzero" || attribute.name() == "fmod" ||
                                       attribute.name() == "noop_with_empty_axes"));
}

/// What files may leave out and the graph always has.
void complete(ir::Node& node, const Inputs& inputs) {
  if (inputs.empty() || inputs[0] == nullptr) return;
  const std::vector<int64_t>& shape = inputs[0]->shape;
  if (node.op == "Transpose" && !node.has("perm")) {
    const std::vector<int64_t> order = counted(shape.size());
    node.attributes["perm"] = std::vector<int64_t>(order.rbegin(), order.rend());
  } else if (node.op == "Slice" && !node.has("axes")) {
    node.attributes["axes"] = counted(node.integers("starts").size());
  } else if (node.op == "Squeeze" && !node.has("axes")) {
    std::vector<int64_t> axes;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 1) axes.push_back(static_cast<int64_t>(i));
    }
    node.attributes["axes"] = axes;
  }
}

/// f[shape] of one value, which the graph has no operator for.
std::optional<std::vector<ir::Tensor>> filled(const pb::NodeProto& proto, const Inputs& inputs) {
  if (inputs.size() != 1 || inputs[0] == nullptr || inputs[0]->dtype != ir::DType::i64) return std::nullopt;
  ir::Tensor value = ir::Tensor::f32_scalar(0);
  for (const pb::AttributeProto& attribute : proto.attribute()) {
    if (attribute.name() != "value") continue;
    const std::optional<ir::Tensor> given = to_tensor(attribute.t());
    if (!given || given->element_count() != 1) return std::nullopt;
    value = *given;
  }
  ir::Tensor tensor{value.dtype, {}, {}};
  for (int64_t size : inputs[0]->as<int64_t>()) tensor.shape.push_back(size);
  constexpr int64_t most = 1 << 20;
  for (int64_t size : tensor.shape) {
    if (size < 0 || size > most) return std::nullopt;
  }
  if (tensor.element_count() > most) return std::nullopt;
  for (int64_t i = 0; i < tensor.element_count(); ++i)
    tensor.data.insert(tensor.data.end(), value.data.begin(), value.data.end());
  return std::vector<ir::Tensor>{std::move(tensor)};
}

}  // namespace

std::optional<std::vector<ir::Tensor>> evaluate(const pb::NodeProto& proto, const Inputs& given, int64_t opset) {
  if (!proto.domain().empty() && proto.domain() != "ai.onnx") return std::nullopt;
  if (proto.op_type() == "ConstantOfShape") return filled(proto, given);
  const ir::Operator* op = ir::find_operator("", proto.op_type());
  if (op == nullptr) return std::nullopt;
  ir::Node node{"", proto.op_type(), proto.name(), {}, {}, {}, ""};
  for (const pb::AttributeProto& attribute : proto.attribute()) {
    if (is_without_effect(attribute)) continue;
    std::optional<ir::Attribute> value = to_attribute(attribute);
    if (!value) return std::nullopt;
    node.attributes[attribute.name()] = *std::move(value);
  }
  Inputs inputs = given;
  for (const ir::AttributeSpec& spec : op->attributes) {
    const size_t at = spec.operand.input;
    if (opset < spec.operand.since || at == 0 || at >= inputs.size() || inputs[at] == nullptr) continue;
    std::optional<ir::Attribute> value = to_attribute(*inputs[at], spec);
    if (!value) return std::nullopt;
    node.attributes[std::string(spec.name)] = *std::move(value);
    inputs[at] = nullptr;
  }
  while (!inputs.empty() && inputs.back() == nullptr) inputs.pop_back();
  complete(node, inputs);

  ir::Graph graph;
  for (const ir::Tensor* input : inputs)
    node.inputs.push_back(input == nullptr ? ir::absent : graph.add_constant(*input));
  std::vector<ir::TensorType> types;
  try {
    for (ir::ValueId id : graph.add_node(node, static_cast<size_t>(proto.output_size())))
      types.push_back(graph[id].type);
  } catch (const Error&) {
    return std::nullopt;  // in a form that the graph does not have
  }
  return ir::evaluate({node, inputs, types});
}

}  // namespace onnxport

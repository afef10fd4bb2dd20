// SPDX-License-Identifier: Apache-2.0
#include "core/transform/values.hpp"

#include <algorithm>

#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "core/error.hpp"

namespace onnxport {
namespace {

void collect(const pb::GraphProto& graph, ValueTypes& types) {
  for (const auto* list : {&graph.input(), &graph.output(), &graph.value_info()}) {
    for (const pb::ValueInfoProto& value : *list) {
      if (value.has_type()) types[value.name()] = value.type();
    }
  }
  for (const pb::TensorProto& tensor : graph.initializer()) {
    pb::TypeProto_Tensor& type = *types[tensor.name()].mutable_tensor_type();
    type.set_elem_type(tensor.data_type());
    type.mutable_shape()->clear_dim();
    for (int64_t size : tensor.dims()) type.mutable_shape()->add_dim()->set_dim_value(size);
  }
  for (const pb::NodeProto& node : graph.node()) {
    for (const pb::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) collect(attribute.g(), types);
    }
  }
}

/// Elements that lie in a field of numbers instead of raw_data.
template <class To, class Field>
std::vector<To> numbers(const Field& field) {
  return {field.begin(), field.end()};
}

/// The model with weights that have shapes and no elements, and with the types that onnx's inference finds; `strict`
/// where what does not fit together throws.
pb::ModelProto inferred(const ModelParts& model, bool strict) {
  pb::ModelProto whole = model.model;
  for (const StreamedInitializer& weight : model.weights) {
    pb::TensorProto& tensor = *whole.mutable_graph()->add_initializer();
    tensor = weight.header;
    // So that nobody looks for its elements.
    tensor.set_data_location(pb::TensorProto_DataLocation_EXTERNAL);
  }
  const ONNX_NAMESPACE::ShapeInferenceOptions options(/*check_type=*/false, strict ? 1 : 0, /*data_prop=*/true);
  ONNX_NAMESPACE::shape_inference::InferShapes(whole, ONNX_NAMESPACE::OpSchemaRegistry::Instance(), options);
  return whole;
}

}  // namespace

ValueTypes infer_types(const ModelParts& model) {
  ValueTypes types;
  try {
    collect(inferred(model, false).graph(), types);
  } catch (const std::exception& problem) {
    throw Error(Failure::usage, std::string("the model's shapes contradict each other: ") + problem.what(),
                "is the file valid, and can the model take these sizes?");
  }
  return types;
}

std::string shape_fault(const ModelParts& model) {
  try {
    inferred(model, true);
  } catch (const std::exception& problem) {
    return problem.what();
  }
  return "";
}

std::optional<std::vector<int64_t>> lengths_of(const pb::TypeProto& type) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape()) return std::nullopt;
  std::vector<int64_t> lengths;
  for (const auto& dim : type.tensor_type().shape().dim()) {
    if (!dim.has_dim_value()) return std::nullopt;
    lengths.push_back(dim.dim_value());
  }
  return lengths;
}

std::optional<ir::Tensor> to_tensor(const pb::TensorProto& proto) {
  const auto dtype = static_cast<ir::DType>(proto.data_type());
  if (ir::size_of(dtype) == 0 || proto.data_location() == pb::TensorProto_DataLocation_EXTERNAL) return std::nullopt;
  ir::Tensor tensor{dtype, {proto.dims().begin(), proto.dims().end()}, {}};
  const auto of = [&]<class T>(const std::vector<T>& values) {
    tensor = ir::Tensor::of<T>(dtype, tensor.shape, values);
  };
  if (proto.has_raw_data()) {
    const auto* bytes = reinterpret_cast<const std::byte*>(proto.raw_data().data());
    tensor.data.assign(bytes, bytes + proto.raw_data().size());
  } else {
    switch (dtype) {
      case ir::DType::f32:
        of(numbers<float>(proto.float_data()));
        break;
      case ir::DType::f64:
        of(numbers<double>(proto.double_data()));
        break;
      case ir::DType::i64:
        of(numbers<int64_t>(proto.int64_data()));
        break;
      case ir::DType::i32:
        of(numbers<int32_t>(proto.int32_data()));
        break;
      case ir::DType::boolean:
      case ir::DType::u8:
        of(numbers<uint8_t>(proto.int32_data()));
        break;
      case ir::DType::f16:
      case ir::DType::bf16:
        of(numbers<uint16_t>(proto.int32_data()));
        break;
      default:
        return std::nullopt;
    }
  }
  const auto expected = static_cast<size_t>(tensor.element_count()) * ir::size_of(dtype);
  return tensor.data.size() == expected ? std::optional(std::move(tensor)) : std::nullopt;
}

pb::TensorProto to_proto(const ir::Tensor& tensor, const std::string& name) {
  pb::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(static_cast<int32_t>(tensor.dtype));
  for (int64_t size : tensor.shape) proto.add_dims(size);
  proto.set_raw_data(tensor.data.data(), tensor.data.size());
  return proto;
}

bool has_graph(const pb::NodeProto& node) {
  return std::any_of(node.attribute().begin(), node.attribute().end(),
                     [](const pb::AttributeProto& attribute) { return attribute.has_g(); });
}

int64_t opset_of(const pb::ModelProto& model) {
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") return import.version();
  }
  return 0;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/onnx/model_proto.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/error.hpp"
#include "core/ir/scalar.hpp"
#include "core/version.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

/// How an operator's static attributes become inputs. `from` is the first opset that wants an input.
struct Operand {
  std::string_view op, attribute;
  size_t input;
  int64_t from;
};
constexpr Operand operands[] = {
    {"Reshape", "shape", 1, 5},   {"Expand", "shape", 1, 8},     {"Unsqueeze", "axes", 1, 13},
    {"Squeeze", "axes", 1, 13},   {"Slice", "starts", 1, 10},    {"Slice", "ends", 2, 10},
    {"Slice", "axes", 3, 10},     {"Slice", "steps", 4, 10},     {"Split", "split", 1, 13},
    {"ReduceSum", "axes", 1, 13}, {"ReduceMean", "axes", 1, 18}, {"ReduceMax", "axes", 1, 18},
    {"ReduceMin", "axes", 1, 18}, {"ReduceProd", "axes", 1, 18}, {"ReduceL2", "axes", 1, 18},
    {"CumSum", "axis", 1, 11},    {"Trilu", "k", 1, 14},         {"Clip", "min", 1, 11},
    {"Clip", "max", 2, 11},
};

class Emitter {
 public:
  Emitter(const ir::Graph& graph, const ModelOptions& options) : graph_(graph), options_(options) {}

  ModelParts run() {
    pb::ModelProto& model = parts_.model;
    model.set_ir_version(ir_version_for(options_.opset));
    model.set_producer_name("onnxport");
    model.set_producer_version(std::string(version));
    pb::OperatorSetIdProto* opset = model.add_opset_import();
    opset->set_domain("");
    opset->set_version(options_.opset);
    for (const Node& node : graph_.nodes) {
      if (!node.domain.empty() && domains_.insert(node.domain).second) {
        pb::OperatorSetIdProto* import = model.add_opset_import();
        import->set_domain(node.domain);
        import->set_version(1);
      }
    }
    for (const auto& [key, value] : options_.metadata) {
      pb::StringStringEntryProto* entry = model.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
    pb::GraphProto& graph = *model.mutable_graph();
    graph.set_name(graph_.name);
    // A tensor's name is free for a second layout of the same weight only under another name.
    for (const ir::NamedValue& input : graph_.inputs) taken_.insert(input.name);
    for (const ir::NamedValue& output : graph_.outputs) taken_.insert(output.name);
    for (const Node& node : graph_.nodes) {
      for (ValueId id : node.outputs) taken_.insert(graph_[id].name);
    }
    for (const ir::NamedValue& input : graph_.inputs) add_value_info(*graph.add_input(), input.value);
    for (const Node& node : graph_.nodes) add_node(*graph.add_node(), node);
    for (const ir::NamedValue& output : graph_.outputs) add_value_info(*graph.add_output(), output.value);
    return std::move(parts_);
  }

 private:
  void add_value_info(pb::ValueInfoProto& info, ValueId id) {
    const ir::Value& value = graph_[id];
    info.set_name(value.name);
    pb::TypeProto_Tensor& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(static_cast<int32_t>(value.type.dtype));
    type.mutable_shape();
    for (size_t axis = 0; axis < value.type.shape.size(); ++axis) {
      const ir::Dim& dim = value.type.shape[axis];
      const auto open = value.open_axes.find(axis);
      pb::TensorShapeProto_Dimension& to = *type.mutable_shape()->add_dim();
      if (open != value.open_axes.end())
        to.set_dim_param(open->second);
      else if (dim.is_static())
        to.set_dim_value(dim.size());
      else
        to.set_dim_param(dim.to_string());
    }
  }

  void add_node(pb::NodeProto& to, const Node& node) {
    to.set_name(node.name);
    to.set_op_type(node.op);
    if (!node.domain.empty()) to.set_domain(node.domain);
    ir::Attributes attributes = node.attributes;
    if (node.op == "Shape" && node.domain.empty() && options_.opset < 15) {
      attributes.erase("start");
      attributes.erase("end");
    }
    std::vector<std::string> inputs;
    for (ValueId id : node.inputs) inputs.push_back(id == ir::absent ? std::string() : name_of(id));
    if (node.domain.empty()) move_operands(node, attributes, inputs);
    for (std::string& input : inputs) to.add_input(std::move(input));
    for (ValueId id : node.outputs) to.add_output(graph_[id].name);
    for (const auto& [name, value] : attributes) add_attribute(*to.add_attribute(), name, value);
  }

  void move_operands(const Node& node, ir::Attributes& attributes, std::vector<std::string>& inputs) {
    for (const Operand& operand : operands) {
      if (operand.op != node.op || options_.opset < operand.from) continue;
      const auto found = attributes.find(std::string(operand.attribute));
      if (found == attributes.end()) continue;
      if (inputs.size() <= operand.input) inputs.resize(operand.input + 1);
      inputs[operand.input] = operand_name(node, found->second);
      attributes.erase(found);
    }
    // Steps of 1 are the default; the input is left out.
    if (node.op == "Slice" && inputs.size() == 5) {
      const auto steps = node.integers("steps");
      if (std::all_of(steps.begin(), steps.end(), [](int64_t step) { return step == 1; })) inputs.pop_back();
    }
  }

  std::string operand_name(const Node& node, const ir::Attribute& value) {
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      if (node.op == "Slice" && ints->empty()) return {};
      return constant_name(ir::Tensor::i64(*ints));
    }
    if (const auto* i = std::get_if<int64_t>(&value)) return constant_name(ir::Tensor::i64_scalar(*i));
    if (const auto* f = std::get_if<double>(&value))
      return constant_name(ir::scalar(*f, graph_[node.inputs[0]].type.dtype));
    throw Error(Failure::internal, fmt::format("{}: an operand of a type that cannot be written", node.name));
  }

  void add_attribute(pb::AttributeProto& to, const std::string& name, const ir::Attribute& value) {
    to.set_name(name);
    if (const auto* i = std::get_if<int64_t>(&value)) {
      to.set_type(pb::AttributeProto_AttributeType_INT);
      to.set_i(*i);
    } else if (const auto* f = std::get_if<double>(&value)) {
      to.set_type(pb::AttributeProto_AttributeType_FLOAT);
      to.set_f(static_cast<float>(*f));
    } else if (const auto* s = std::get_if<std::string>(&value)) {
      to.set_type(pb::AttributeProto_AttributeType_STRING);
      to.set_s(*s);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      to.set_type(pb::AttributeProto_AttributeType_INTS);
      for (int64_t entry : *ints) to.add_ints(entry);
    } else if (const auto* floats = std::get_if<std::vector<double>>(&value)) {
      to.set_type(pb::AttributeProto_AttributeType_FLOATS);
      for (double entry : *floats) to.add_floats(static_cast<float>(entry));
    }
  }

  std::string name_of(ValueId id) {
    const ir::Value& value = graph_[id];
    switch (value.origin) {
      case ir::Origin::constant:
        return constant_name(*value.constant);
      case ir::Origin::weight:
        return weight_name(id);
      default:
        return value.name;
    }
  }

  /// "/constants/i64[0, 0, 12, 32]": readable where a graph is looked at; small ones tell their value.
  std::string constant_name(const ir::Tensor& tensor) {
    for (const auto& [known, name] : constants_) {
      if (known == tensor) return name;
    }
    std::string label;
    if (tensor.dtype == ir::DType::i64 && tensor.element_count() <= 8) {
      label = fmt::format("{}", fmt::join(tensor.as<int64_t>(), ", "));
      if (!tensor.shape.empty()) label = "[" + label + "]";
    } else if (tensor.dtype == ir::DType::f32 && tensor.shape.empty()) {
      label = fmt::format("{}", tensor.as<float>()[0]);
    } else {
      label = fmt::format("[{}]_{}", fmt::join(tensor.shape, ", "), constants_.size());
    }
    const std::string name = unique(fmt::format("/constants/{}/{}", ir::name_of(tensor.dtype), label));
    pb::TensorProto& to = *parts_.model.mutable_graph()->add_initializer();
    to.set_name(name);
    to.set_data_type(static_cast<int32_t>(tensor.dtype));
    for (int64_t size : tensor.shape) to.add_dims(size);
    to.set_raw_data(tensor.data.data(), tensor.data.size());
    constants_.emplace_back(tensor, name);
    return name;
  }

  std::string weight_name(ValueId id) {
    const auto [known, fresh] = weights_.try_emplace(id);
    if (!fresh) return known->second;
    const ir::Value& value = graph_[id];
    const std::string name = unique(value.name);
    StreamedInitializer streamed;
    streamed.header.set_name(name);
    streamed.header.set_data_type(static_cast<int32_t>(value.type.dtype));
    for (const ir::Dim& dim : value.type.shape) streamed.header.add_dims(dim.size());
    streamed.weight = value.weight;
    parts_.weights.push_back(std::move(streamed));
    known->second = name;
    return name;
  }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  const ir::Graph& graph_;
  const ModelOptions& options_;
  ModelParts parts_;
  std::set<std::string> domains_, taken_;
  std::vector<std::pair<ir::Tensor, std::string>> constants_;
  std::map<ValueId, std::string> weights_;
};

}  // namespace

ModelParts to_model(const ir::Graph& lowered, const ModelOptions& options) {
  return Emitter(lowered, options).run();
}

int64_t ir_version_for(int64_t opset) {
  if (opset < 15) return 7;
  if (opset < 19) return 8;
  if (opset < 21) return 9;
  if (opset < 23) return 10;
  return opset < 24 ? 11 : 12;
}

}  // namespace onnxport

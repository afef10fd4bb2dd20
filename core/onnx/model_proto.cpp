// SPDX-License-Identifier: Apache-2.0
#include "core/onnx/model_proto.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/error.hpp"
#include "core/ir/functions.hpp"
#include "core/ir/scalar.hpp"
#include "core/version.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

/// A function on its way into the file. It has no initializers: its constants are nodes.
struct FunctionInProgress {
  pb::FunctionProto proto{};
  std::vector<std::pair<ir::Tensor, std::string>> constants{};
};

/// A graph on its way into the file: the main one, a body, in which captures go by their names outside, or that of a
/// function, in which all values have names of their own.
struct Frame {
  const ir::Graph& graph;
  std::map<ValueId, std::string> captured{};
  FunctionInProgress* function = nullptr;
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
    import_domains(graph_);
    for (const auto& [key, value] : options_.metadata) {
      pb::StringStringEntryProto* entry = model.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
    take_names(graph_, graph_.inputs.size());
    add_graph(*model.mutable_graph(), {graph_}, graph_.inputs.size());
    // Models have functions since then.
    if (model.functions_size() > 0) model.set_ir_version(std::max<int64_t>(model.ir_version(), 8));
    return std::move(parts_);
  }

 private:
  void import_domains(const ir::Graph& graph) {
    for (const Node& node : graph.nodes) {
      if (!node.domain.empty() && domains_.insert(node.domain).second) {
        pb::OperatorSetIdProto* import = parts_.model.add_opset_import();
        import->set_domain(node.domain);
        const auto told = options_.domains.find(node.domain);
        import->set_version(told == options_.domains.end() ? 1 : told->second);
      }
      for (const auto& [name, body] : node.bodies) import_domains(*body);
    }
  }

  /// How many of a body's inputs the operator hands it; those behind them are captures.
  static size_t own_inputs(const Node& node, const ir::Graph& body) {
    return body.inputs.size() - (node.inputs.size() - node.formal_inputs);
  }

  /// Names that stand in the graph already. A tensor's name is free for a second layout of the same weight only under
  /// another name.
  void take_names(const ir::Graph& graph, size_t own) {
    for (size_t i = 0; i < own; ++i) taken_.insert(graph[graph.inputs[i].value].name);
    for (const ir::NamedValue& output : graph.outputs) taken_.insert(graph[output.value].name);
    for (const Node& node : graph.nodes) {
      for (ValueId id : node.outputs) taken_.insert(graph[id].name);
      for (const auto& [name, body] : node.bodies) take_names(*body, own_inputs(node, *body));
    }
  }

  /// The first `own` inputs are the graph's; the others are captured.
  void add_graph(pb::GraphProto& to, const Frame& frame, size_t own) {
    const ir::Graph& graph = frame.graph;
    to.set_name(graph.name);
    for (size_t i = 0; i < own; ++i) add_value_info(*to.add_input(), graph[graph.inputs[i].value]);
    for (const Node& node : graph.nodes) add_node(*to.add_node(), node, frame);
    for (const ir::NamedValue& output : graph.outputs) add_value_info(*to.add_output(), graph[output.value]);
  }

  /// Weights and constants of a body stand in the main graph, so that what several graphs use is in the file once.
  void add_body(pb::AttributeProto& to, const std::string& name, const Node& node, const Frame& outer) {
    const ir::Graph& body = *node.bodies.at(name);
    Frame frame{body, {}, outer.function};
    const size_t own = own_inputs(node, body);
    for (size_t i = own; i < body.inputs.size(); ++i)
      frame.captured[body.inputs[i].value] = name_of(outer, node.inputs[node.formal_inputs + i - own]);
    to.set_name(name);
    to.set_type(pb::AttributeProto_AttributeType_GRAPH);
    add_graph(*to.mutable_g(), frame, own);
  }

  std::string axis_name(const std::string& symbol) const {
    const auto renamed = options_.axes.by_symbol.find(symbol);
    return renamed == options_.axes.by_symbol.end() ? symbol : renamed->second;
  }
  std::string axis_name(const ir::Dim& dim) const {
    ir::Dim renamed(dim.constant());
    for (const auto& [symbol, factor] : dim.terms())
      renamed = renamed + ir::Dim::symbol(axis_name(symbol)) * ir::Dim(factor);
    return renamed.to_string();
  }

  void add_value_info(pb::ValueInfoProto& info, const ir::Value& value) const {
    info.set_name(value.name);
    pb::TypeProto_Tensor& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(static_cast<int32_t>(value.type.dtype));
    type.mutable_shape();
    for (size_t axis = 0; axis < value.type.shape.size(); ++axis) {
      const ir::Dim& dim = value.type.shape[axis];
      const auto open = value.open_axes.find(axis);
      pb::TensorShapeProto_Dimension& to = *type.mutable_shape()->add_dim();
      if (options_.axes.keeps_open && open != value.open_axes.end())
        to.set_dim_param(axis_name(open->second));
      else if (dim.is_static())
        to.set_dim_value(dim.size());
      else
        to.set_dim_param(axis_name(dim));
    }
  }

  void add_node(pb::NodeProto& to, const Node& node, const Frame& frame) {
    const bool calls = ir::is_function(node) && !options_.keep_custom_ops;
    to.set_name(node.name);
    to.set_op_type(calls ? function_of(node) : node.op);
    if (!node.domain.empty()) to.set_domain(node.domain);
    // What a function's attributes say is in it.
    ir::Attributes attributes = calls ? ir::Attributes() : node.attributes;
    std::vector<std::string> inputs;
    const size_t formal = node.bodies.empty() ? node.inputs.size() : node.formal_inputs;
    for (size_t i = 0; i < formal; ++i)
      inputs.push_back(node.inputs[i] == ir::absent ? std::string() : name_of(frame, node.inputs[i]));
    move_operands(node, frame, attributes, inputs);
    for (std::string& input : inputs) to.add_input(std::move(input));
    for (ValueId id : node.outputs) to.add_output(name_of(frame, id));
    for (const auto& [name, value] : attributes) add_attribute(*to.add_attribute(), name, value);
    if (ir::is_function(node)) return;
    for (const auto& [name, body] : node.bodies) add_body(*to.add_attribute(), name, node, frame);
  }

  /// Writes what an operator of the plugin's own is made of, unless it is there, and yields the name to call it by. One
  /// that is made otherwise, for other attributes or shapes, is another function.
  std::string function_of(const Node& node) {
    const ir::Graph& body = *node.bodies.at(ir::function_body);
    FunctionInProgress function;
    Frame frame{body, {}, &function};
    name_values(frame);
    std::vector<pb::NodeProto> nodes;
    for (const Node& inner : body.nodes) {
      pb::NodeProto& to = nodes.emplace_back();
      add_node(to, inner, frame);
      to.set_name(to.output(0));
    }
    pb::FunctionProto& proto = function.proto;
    for (const ir::NamedValue& input : body.inputs) proto.add_input(frame.captured.at(input.value));
    for (const ir::NamedValue& output : body.outputs) proto.add_output(frame.captured.at(output.value));
    for (const auto& [tensor, name] : function.constants) add_constant_node(*proto.add_node(), tensor, name);
    for (pb::NodeProto& made : nodes) *proto.add_node() = std::move(made);
    proto.set_domain(node.domain);
    for (const pb::OperatorSetIdProto& import : parts_.model.opset_import()) *proto.add_opset_import() = import;
    return add_function(node.op, std::move(proto));
  }

  std::string add_function(const std::string& op, pb::FunctionProto proto) {
    size_t named_alike = 0;
    for (const pb::FunctionProto& known : parts_.model.functions()) {
      if (known.domain() != proto.domain() || (known.name() != op && !known.name().starts_with(op + "__"))) continue;
      proto.set_name(known.name());
      if (proto.SerializeAsString() == known.SerializeAsString()) return known.name();
      ++named_alike;
    }
    proto.set_name(named_alike == 0 ? op : fmt::format("{}__{}", op, named_alike));
    *parts_.model.add_functions() = proto;
    return proto.name();
  }

  /// Names that tell nothing of where the function is called, so that equal ones are the same.
  static void name_values(Frame& frame) {
    const ir::Graph& body = frame.graph;
    for (size_t i = 0; i < body.inputs.size(); ++i) frame.captured[body.inputs[i].value] = fmt::format("in_{}", i);
    for (size_t i = 0; i < body.outputs.size(); ++i) frame.captured[body.outputs[i].value] = fmt::format("out_{}", i);
    size_t count = 0;
    for (const Node& node : body.nodes) {
      for (const ValueId id : node.outputs) frame.captured.emplace(id, fmt::format("{}_{}", node.op, count++));
    }
  }

  static void add_constant_node(pb::NodeProto& to, const ir::Tensor& tensor, const std::string& name) {
    to.set_op_type("Constant");
    to.set_name(name);
    to.add_output(name);
    pb::AttributeProto& value = *to.add_attribute();
    value.set_name("value");
    value.set_type(pb::AttributeProto_AttributeType_TENSOR);
    fill(*value.mutable_t(), tensor);
  }

  static void fill(pb::TensorProto& to, const ir::Tensor& tensor) {
    to.set_data_type(static_cast<int32_t>(tensor.dtype));
    for (int64_t size : tensor.shape) to.add_dims(size);
    to.set_raw_data(tensor.data.data(), tensor.data.size());
  }

  /// Attributes of the graph that are inputs in the file.
  void move_operands(const Node& node, const Frame& frame, ir::Attributes& attributes,
                     std::vector<std::string>& inputs) {
    const ir::Operator* op = ir::find_operator(node.domain, node.op);
    if (op == nullptr) return;
    for (const ir::AttributeSpec& spec : op->attributes) {
      if (options_.opset < spec.operand.since) continue;
      const auto found = attributes.find(std::string(spec.name));
      if (found == attributes.end()) continue;
      if (inputs.size() <= spec.operand.input) inputs.resize(spec.operand.input + 1);
      inputs[spec.operand.input] = operand_name(node, frame, found->second, spec.operand.list);
      attributes.erase(found);
    }
    // Steps of 1 are the default; the input is left out.
    if (node.op == "Slice" && inputs.size() == 5) {
      const auto steps = node.integers("steps");
      if (std::all_of(steps.begin(), steps.end(), [](int64_t step) { return step == 1; })) inputs.pop_back();
    }
  }

  std::string operand_name(const Node& node, const Frame& frame, const ir::Attribute& value, bool list) {
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      if (node.op == "Slice" && ints->empty()) return {};
      return constant_name(frame, ir::Tensor::i64(*ints));
    }
    if (const auto* i = std::get_if<int64_t>(&value))
      return constant_name(frame, list ? ir::Tensor::i64({*i}) : ir::Tensor::i64_scalar(*i));
    if (const auto* f = std::get_if<double>(&value))
      return constant_name(frame, ir::scalar(*f, frame.graph[node.inputs[0]].type.dtype));
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

  std::string name_of(const Frame& frame, ValueId id) {
    if (const auto captured = frame.captured.find(id); captured != frame.captured.end()) return captured->second;
    const ir::Value& value = frame.graph[id];
    switch (value.origin) {
      case ir::Origin::constant:
        return constant_name(frame, *value.constant);
      case ir::Origin::weight:
        return weight_name(value);
      default:
        return value.name;
    }
  }

  /// "/constants/i64[0, 0, 12, 32]": readable where a graph is looked at; small ones tell their value.
  std::string constant_name(const Frame& frame, const ir::Tensor& tensor) {
    if (frame.function != nullptr) return constant_in(*frame.function, tensor);
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
    fill(to, tensor);
    constants_.emplace_back(tensor, name);
    return name;
  }

  static std::string constant_in(FunctionInProgress& function, const ir::Tensor& tensor) {
    for (const auto& [known, name] : function.constants) {
      if (known == tensor) return name;
    }
    function.constants.emplace_back(tensor, fmt::format("constant_{}", function.constants.size()));
    return function.constants.back().second;
  }

  std::string weight_name(const ir::Value& value) {
    std::vector<std::pair<std::shared_ptr<const Weight>, std::string>>& same_name = weights_[value.name];
    for (const auto& [known, name] : same_name) {
      if (known->same_as(*value.weight)) return name;
    }
    const std::string name = unique(value.name);
    StreamedInitializer streamed;
    streamed.header.set_name(name);
    streamed.header.set_data_type(static_cast<int32_t>(value.type.dtype));
    for (const ir::Dim& dim : value.type.shape) streamed.header.add_dims(dim.size());
    streamed.weight = value.weight;
    parts_.weights.push_back(std::move(streamed));
    same_name.emplace_back(value.weight, name);
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
  /// By the checkpoint's name: several layouts of a tensor, and the names that they have here.
  std::map<std::string, std::vector<std::pair<std::shared_ptr<const Weight>, std::string>>> weights_;
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

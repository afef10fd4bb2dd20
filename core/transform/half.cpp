// SPDX-License-Identifier: Apache-2.0
#include "core/transform/half.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "core/passes/bounded_constant.hpp"
#include "core/tensor/elements.hpp"
#include "core/transform/fold.hpp"
#include "core/transform/values.hpp"

namespace onnxport {
namespace {

using pb::TensorProto;

constexpr int64_t lowest_opset_of_half = 13;

/// What run-times have no kernels of 16 bits for, or what makes numbers of its own. As the converters of
/// onnxconverter-common and transformers.js have it.
const std::set<std::string_view>& wide_operators() {
  static const std::set<std::string_view> names{"Resize",
                                                "Upsample",
                                                "CumSum",
                                                "TopK",
                                                "NonMaxSuppression",
                                                "RoiAlign",
                                                "Min",
                                                "Max",
                                                "Range",
                                                "OneHot",
                                                "RandomNormalLike",
                                                "RandomUniformLike",
                                                "RandomNormal",
                                                "RandomUniform",
                                                "Multinomial",
                                                "Bernoulli",
                                                "DequantizeLinear",
                                                "QuantizeLinear",
                                                "DynamicQuantizeLinear",
                                                "MatMulInteger",
                                                "ConvInteger",
                                                "QLinearMatMul",
                                                "QLinearConv"};
  return names;
}

/// The names under which a value of f32 is there.
struct Names {
  std::string wide, half;    // empty: not made so far
  bool is_constant = false;  // which does not make what takes it one of 16 bits
  bool is_beyond = false;    // it may hold numbers that 16 bits have not, as a mask does
  bool is_data = false;      // made of a weight or of floats that are given, as no mask is
};

class HalfModel {
 public:
  explicit HalfModel(ModelParts& model) : model_(model), opset_(opset_of(model.model)), types_(infer_types(model)) {}

  void run() {
    require();
    pb::GraphProto& graph = *model_.model.mutable_graph();
    take_weights(graph);
    convert(graph);
    graph.clear_value_info();
    remove_unused(model_);
  }

 private:
  void require() const {
    if (opset_ < lowest_opset_of_half) {
      throw Error(Failure::usage,
                  fmt::format("the model is of opset {}, and --fp16 needs {}", opset_, lowest_opset_of_half),
                  "export it again with a newer opset");
    }
    if (model_.model.functions_size() > 0)
      throw Error(Failure::usage, "the model holds functions of its own, whose types --fp16 does not follow",
                  "inline them first (onnx.inliner)");
  }

  bool is_f32(const std::string& name) const {
    const auto found = types_.find(name);
    return found != types_.end() && found->second.tensor_type().elem_type() == TensorProto::FLOAT;
  }

  // ---------------------------------------------------------------------------------------------- weights

  /// Weights that are apart are stored in 16 bits, unless nothing but operators that stay takes them.
  void take_weights(pb::GraphProto& graph) {
    std::set<std::string> narrow;
    collect_narrow(graph, narrow);
    for (StreamedInitializer& weight : model_.weights) {
      if (weight.header.data_type() != TensorProto::FLOAT) continue;
      const std::string& name = weight.header.name();
      if (!narrow.contains(name)) {
        values_[name] = {.wide = name, .is_data = true};
        continue;
      }
      weight.header.set_data_type(TensorProto::FLOAT16);
      weight.weight = std::make_shared<const Weight>(weight.weight->then(CastTo{ir::DType::f16}));
      values_[name] = {.half = name, .is_data = true};
    }
  }

  void collect_narrow(const pb::GraphProto& graph, std::set<std::string>& narrow) const {
    for (const pb::NodeProto& node : graph.node()) {
      if (!stays_wide(node)) narrow.insert(node.input().begin(), node.input().end());
      for (const pb::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) collect_narrow(attribute.g(), narrow);
      }
    }
  }

  void take_constant(const TensorProto& proto, const std::string& name) {
    if (proto.data_type() != TensorProto::FLOAT) return;
    const std::optional<ir::Tensor> tensor = to_tensor(proto);
    if (!tensor) return;
    values_[name] = {.wide = name, .is_constant = true, .is_beyond = is_beyond(*tensor, ir::DType::f16)};
    constants_.emplace(name, *tensor);
  }

  // ------------------------------------------------------------------------------------------------ nodes

  const ir::Precision& precision_of(const pb::NodeProto& node) const {
    static const ir::Precision none;
    const ir::Operator* op = ir::find_operator("", node.op_type());
    return op == nullptr || !node.domain().empty() ? none : op->precision;
  }

  bool stays_wide(const pb::NodeProto& node) const {
    return !node.domain().empty() || has_graph(node) || wide_operators().contains(node.op_type()) ||
           opset_ < precision_of(node).wide_below;
  }

  /// Whether something that the node takes is stored or computed in 16 bits, or is given to the model.
  bool takes_half(const pb::NodeProto& node) const {
    return std::any_of(node.input().begin(), node.input().end(), [&](const std::string& name) {
      const auto found = values_.find(name);
      return found != values_.end() && !found->second.is_constant &&
             (!found->second.half.empty() || inputs_.contains(name));
    });
  }

  bool takes_data(const pb::NodeProto& node) const {
    return std::any_of(node.input().begin(), node.input().end(), [&](const std::string& name) {
      const auto found = values_.find(name);
      return found != values_.end() && found->second.is_data;
    });
  }

  /// Whether a constant that 16 bits have not is a number of what the node computes, as in x * 1e5.
  bool takes_number_beyond(const pb::NodeProto& node) const {
    using enum ir::Precision::Numbers;
    const ir::Precision::Numbers numbers = precision_of(node).numbers;
    if (numbers == none || !takes_data(node)) return false;
    return std::any_of(node.input().begin(), node.input().end(), [&](const std::string& name) {
      const auto found = values_.find(name);
      if (found == values_.end() || !found->second.is_constant || !found->second.is_beyond) return false;
      return numbers == any || constants_.at(name).element_count() == 1;
    });
  }

  void convert(pb::GraphProto& graph) {
    std::set<std::string> outputs;
    for (const pb::ValueInfoProto& output : graph.output()) outputs.insert(output.name());
    google::protobuf::RepeatedPtrField<pb::NodeProto> before, *around = nodes_;
    before.Swap(graph.mutable_node());
    nodes_ = graph.mutable_node();
    std::map<std::string, Names> outside = values_;
    for (const pb::ValueInfoProto& input : graph.input()) {
      if (!is_f32(input.name()) || values_.contains(input.name())) continue;  // weights may be inputs as well
      values_[input.name()] = {.wide = input.name(), .is_data = true};
      inputs_.insert(input.name());
    }
    for (const TensorProto& tensor : graph.initializer()) take_constant(tensor, tensor.name());
    for (pb::NodeProto& node : before) convert(std::move(node), outputs);
    for (const pb::ValueInfoProto& output : graph.output()) deliver(output.name());
    // What was cast within the graph is not there around it.
    values_ = std::move(outside);
    nodes_ = around;
  }

  void convert(pb::NodeProto node, const std::set<std::string>& outputs) {
    if (node.op_type() == "Constant" && node.attribute_size() == 1 && node.output_size() == 1) {
      if (node.attribute(0).has_t()) take_constant(node.attribute(0).t(), node.output(0));
      if (node.attribute(0).has_f())
        take_constant(to_proto(ir::Tensor::f32_scalar(node.attribute(0).f()), ""), node.output(0));
      *nodes_->Add() = std::move(node);
      return;
    }
    if (node.op_type() == "Cast" && casts_to_float(node)) return convert_cast(std::move(node), outputs);
    const bool takes_number = takes_number_beyond(node);
    const bool narrow = !stays_wide(node) && !takes_number && takes_half(node);
    const ir::Precision& precision = precision_of(node);
    using enum ir::Precision::Beyond;
    const bool is_data = takes_data(node);
    const bool follows = precision.beyond == as_inputs && !takes_number && !(precision.product && is_data);
    bool beyond = precision.beyond == always;
    for (int i = 0; i < node.input_size(); ++i) {
      const auto found = values_.find(node.input(i));
      if (found == values_.end()) continue;
      beyond = beyond || (follows && found->second.is_beyond);
      const bool wide = !narrow || std::find(precision.wide_inputs.begin(), precision.wide_inputs.end(),
                                             static_cast<size_t>(i)) != precision.wide_inputs.end();
      node.set_input(i, as(node.input(i), wide));
    }
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) convert(*attribute.mutable_g());
    }
    finish(std::move(node), {.is_narrow = narrow, .is_beyond = beyond, .is_data = is_data}, outputs);
  }

  /// What a Cast to f32 makes of integers is computed with in f32 until it meets 16 bits; of floats it is nothing new.
  static bool casts_to_float(const pb::NodeProto& node) {
    return std::any_of(node.attribute().begin(), node.attribute().end(), [](const pb::AttributeProto& attribute) {
      return attribute.name() == "to" && attribute.i() == TensorProto::FLOAT;
    });
  }
  void convert_cast(pb::NodeProto node, const std::set<std::string>& outputs) {
    if (values_.contains(node.input(0))) node.set_input(0, as(node.input(0), true));
    finish(std::move(node), {}, outputs);
  }

  struct Results {
    bool is_narrow = false, is_beyond = false, is_data = false;
  };
  void finish(pb::NodeProto node, const Results& results, const std::set<std::string>& outputs) {
    std::vector<std::string> put_out;
    for (int i = 0; i < node.output_size(); ++i) {
      const std::string name = node.output(i);
      if (name.empty()) continue;
      if (!types_.contains(name)) refuse(node, name);
      if (!is_f32(name)) continue;
      if (!results.is_narrow) {
        values_[name] = {.wide = name, .is_beyond = results.is_beyond, .is_data = results.is_data};
        continue;
      }
      const bool is_output = outputs.contains(name);
      const std::string half = is_output ? fresh(name + "/f16") : name;
      node.set_output(i, half);
      values_[name] = {.half = half, .is_data = results.is_data};
    }
    *nodes_->Add() = std::move(node);
  }

  [[noreturn]] static void refuse(const pb::NodeProto& node, const std::string& value) {
    throw Error(Failure::usage,
                fmt::format("the type of '{}', which {}{} yields, is not known", value,
                            node.domain().empty() ? "" : node.domain() + ".", node.op_type()),
                "--fp16 follows types through ONNX's own operators; convert the model before it is optimised for a "
                "run-time");
  }

  /// An output of a graph is of the type that it had.
  void deliver(const std::string& name) {
    const auto found = values_.find(name);
    if (found == values_.end() || !found->second.wide.empty()) return;
    if (found->second.half == name) return;  // a weight that is put out as it is
    add_cast(found->second.half, name, TensorProto::FLOAT);
  }

  // ------------------------------------------------------------------------------------------------ casts

  /// The name of the value in one of the two types, which is made where it is not there.
  std::string as(const std::string& name, bool wide) {
    Names& names = values_.at(name);
    std::string& wanted = wide ? names.wide : names.half;
    if (!wanted.empty()) return wanted;
    if (names.is_constant) return wanted = half_constant(name);
    std::string from = wide ? names.half : names.wide;
    if (!wide && names.is_beyond) from = bounded(from);
    wanted = fresh(name + (wide ? "/f32" : "/f16"));
    add_cast(from, wanted, wide ? TensorProto::FLOAT : TensorProto::FLOAT16);
    return wanted;
  }

  std::string half_constant(const std::string& name) {
    const auto [known, is_new] = half_constants_.try_emplace(name);
    if (is_new) {
      known->second = fresh(name + "/f16");
      *model_.model.mutable_graph()->add_initializer() =
          to_proto(bounded_as(constants_.at(name), ir::DType::f16), known->second);
    }
    return known->second;
  }

  /// Finite numbers that 16 bits have, for what a mask makes of its lowest number.
  std::string bounded(const std::string& from) {
    const double bound = ir::bound_of(ir::DType::f16);
    std::vector<std::string> ends;
    for (double end : {-bound, bound}) {
      std::string& name = bounds_[end];
      if (name.empty()) {
        name = fresh(end < 0 ? "/constants/f16_lowest" : "/constants/f16_highest");
        *model_.model.mutable_graph()->add_initializer() =
            to_proto(ir::Tensor::f32_scalar(static_cast<float>(end)), name);
      }
      ends.push_back(name);
    }
    pb::NodeProto& clip = *nodes_->Add();
    clip.set_op_type("Clip");
    clip.set_name(fresh(from + "/Clip"));
    clip.add_input(from);
    for (const std::string& end : ends) clip.add_input(end);
    clip.add_output(fresh(from + "/bounded"));
    return clip.output(0);
  }

  void add_cast(const std::string& from, const std::string& to, int32_t type) {
    pb::NodeProto& cast = *nodes_->Add();
    cast.set_op_type("Cast");
    cast.set_name(fresh(to + "/Cast"));
    cast.add_input(from);
    cast.add_output(to);
    pb::AttributeProto& attribute = *cast.add_attribute();
    attribute.set_name("to");
    attribute.set_type(pb::AttributeProto_AttributeType_INT);
    attribute.set_i(type);
  }

  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; types_.contains(name) || !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  ModelParts& model_;
  const int64_t opset_;
  const ValueTypes types_;
  google::protobuf::RepeatedPtrField<pb::NodeProto>* nodes_ = nullptr;  // of the graph that is being converted
  std::map<std::string, Names> values_;                                 // of f32, by the names that they had
  std::map<std::string, ir::Tensor> constants_;
  std::map<std::string, std::string> half_constants_;
  std::map<double, std::string> bounds_;
  std::set<std::string> inputs_, taken_;
};

}  // namespace

void to_half(ModelParts& model) {
  HalfModel(model).run();
}

}  // namespace onnxport

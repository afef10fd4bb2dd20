// SPDX-License-Identifier: Apache-2.0
#include "core/transform/fold.hpp"

#include <algorithm>
#include <set>

#include "core/transform/canonical.hpp"
#include "core/transform/values.hpp"

namespace onnxport {
namespace {

constexpr int most_rounds = 8;  // each tells of shapes that the one before could not know
constexpr size_t most_made = size_t{1} << 20;

/// Names that nodes use, those in graphs within them included.
void collect_uses(const pb::GraphProto& graph, std::set<std::string>& uses) {
  for (const pb::NodeProto& node : graph.node()) {
    uses.insert(node.input().begin(), node.input().end());
    for (const pb::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) collect_uses(attribute.g(), uses);
    }
  }
  for (const pb::ValueInfoProto& output : graph.output()) uses.insert(output.name());
}

class Folding {
 public:
  explicit Folding(ModelParts& model)
      : model_(model), graph_(*model.model.mutable_graph()), opset_(opset_of(model.model)) {}

  void run() {
    for (int round = 0; round < most_rounds && fold(infer_types(model_)); ++round) {
    }
    onnxport::remove_unused(model_);
  }

 private:
  /// Whether anything was.
  bool fold(const ValueTypes& types) {
    std::map<std::string, ir::Tensor> known;
    for (const pb::TensorProto& tensor : graph_.initializer()) {
      if (std::optional<ir::Tensor> value = to_tensor(tensor)) known.emplace(tensor.name(), *std::move(value));
    }
    // What may be given another value when the model runs is no constant.
    for (const pb::ValueInfoProto& input : graph_.input()) known.erase(input.name());
    std::set<std::string> outputs;
    for (const pb::ValueInfoProto& output : graph_.output()) outputs.insert(output.name());

    google::protobuf::RepeatedPtrField<pb::NodeProto> kept;
    bool folded = false;
    for (pb::NodeProto& node : *graph_.mutable_node()) {
      const bool is_put_out = std::any_of(node.output().begin(), node.output().end(),
                                          [&](const std::string& name) { return outputs.contains(name); });
      const std::optional<std::vector<ir::Tensor>> results =
          is_put_out || has_graph(node) ? std::nullopt : results_of(node, known, types);
      if (!results) {
        *kept.Add() = std::move(node);
        continue;
      }
      folded = true;
      for (int i = 0; i < node.output_size(); ++i) {
        const ir::Tensor& tensor = (*results)[static_cast<size_t>(i)];
        *graph_.add_initializer() = to_proto(tensor, node.output(i));
        known.emplace(node.output(i), tensor);
      }
    }
    graph_.mutable_node()->Swap(&kept);
    return folded;
  }

  std::optional<std::vector<ir::Tensor>> results_of(const pb::NodeProto& node,
                                                    const std::map<std::string, ir::Tensor>& known,
                                                    const ValueTypes& types) const {
    if (node.op_type() == "Constant") return constant(node);
    if (node.op_type() == "Shape") return shape(node, types);
    if (node.input_size() == 0) return std::nullopt;
    std::vector<const ir::Tensor*> inputs;
    size_t taken = 0, made = 0;
    for (const std::string& name : node.input()) {
      const auto found = known.find(name);
      if (!name.empty() && found == known.end()) return std::nullopt;
      inputs.push_back(name.empty() ? nullptr : &found->second);
      if (!name.empty()) taken += found->second.data.size();
    }
    for (const std::string& name : node.output()) {
      const auto type = types.find(name);
      const auto lengths = type == types.end() ? std::nullopt : lengths_of(type->second);
      if (!lengths) continue;  // inferred of the values
      size_t bytes = 8;
      for (int64_t length : *lengths) bytes *= static_cast<size_t>(length);
      made += bytes;
    }
    if (made > std::max(most_made, taken)) return std::nullopt;
    return evaluate(node, inputs, opset_);
  }

  static std::optional<std::vector<ir::Tensor>> constant(const pb::NodeProto& node) {
    if (node.attribute_size() != 1) return std::nullopt;
    const pb::AttributeProto& value = node.attribute(0);
    std::optional<ir::Tensor> tensor;
    if (value.name() == "value") tensor = to_tensor(value.t());
    if (value.name() == "value_int") tensor = ir::Tensor::i64_scalar(value.i());
    if (value.name() == "value_float") tensor = ir::Tensor::f32_scalar(value.f());
    if (value.name() == "value_ints") tensor = ir::Tensor::i64({value.ints().begin(), value.ints().end()});
    if (!tensor) return std::nullopt;
    return std::vector<ir::Tensor>{*std::move(tensor)};
  }

  /// Of the axes that are asked for, all of which must have a size.
  static std::optional<std::vector<ir::Tensor>> shape(const pb::NodeProto& node, const ValueTypes& types) {
    const auto found = types.find(node.input(0));
    if (found == types.end() || !found->second.tensor_type().has_shape()) return std::nullopt;
    const auto& dims = found->second.tensor_type().shape().dim();
    int64_t start = 0, end = dims.size();
    for (const pb::AttributeProto& attribute : node.attribute())
      (attribute.name() == "start" ? start : end) = attribute.i();
    const auto clamped = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + dims.size() : at, 0, dims.size());
    };
    std::vector<int64_t> lengths;
    for (int64_t axis = clamped(start); axis < clamped(end); ++axis) {
      if (!dims[static_cast<int>(axis)].has_dim_value()) return std::nullopt;
      lengths.push_back(dims[static_cast<int>(axis)].dim_value());
    }
    return std::vector<ir::Tensor>{ir::Tensor::i64(std::move(lengths))};
  }

  ModelParts& model_;
  pb::GraphProto& graph_;
  const int64_t opset_;
};

class Cleaning {
 public:
  explicit Cleaning(ModelParts& model) : model_(model), graph_(*model.model.mutable_graph()) {}

  void run() {
    for (bool removed = true; removed;) {
      std::set<std::string> uses;
      collect_uses(graph_, uses);
      const auto is_unused = [&](const std::string& name) { return name.empty() || !uses.contains(name); };
      google::protobuf::RepeatedPtrField<pb::NodeProto> kept;
      for (pb::NodeProto& node : *graph_.mutable_node()) {
        if (!std::all_of(node.output().begin(), node.output().end(), is_unused)) *kept.Add() = std::move(node);
      }
      removed = kept.size() < graph_.node_size();
      graph_.mutable_node()->Swap(&kept);
      if (!removed) remove_initializers(uses);
    }
  }

 private:
  void remove_initializers(std::set<std::string> uses) {
    for (const pb::ValueInfoProto& input : graph_.input()) uses.insert(input.name());
    google::protobuf::RepeatedPtrField<pb::TensorProto> kept;
    for (pb::TensorProto& tensor : *graph_.mutable_initializer()) {
      if (uses.contains(tensor.name())) *kept.Add() = std::move(tensor);
    }
    graph_.mutable_initializer()->Swap(&kept);
    std::erase_if(model_.weights,
                  [&](const StreamedInitializer& weight) { return !uses.contains(weight.header.name()); });
    // What was said of values that are gone.
    std::set<std::string> made;
    for (const pb::NodeProto& node : graph_.node()) made.insert(node.output().begin(), node.output().end());
    google::protobuf::RepeatedPtrField<pb::ValueInfoProto> told;
    for (pb::ValueInfoProto& value : *graph_.mutable_value_info()) {
      if (made.contains(value.name())) *told.Add() = std::move(value);
    }
    graph_.mutable_value_info()->Swap(&told);
  }

  ModelParts& model_;
  pb::GraphProto& graph_;
};

}  // namespace

void remove_unused(ModelParts& model) {
  Cleaning(model).run();
}

void fold_constants(ModelParts& model) {
  Folding(model).run();
}

}  // namespace onnxport

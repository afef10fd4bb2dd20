// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/sized_model.hpp"

#include <fmt/format.h>
#include <onnx/inliner/inliner.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "core/inspect/small_integers.hpp"

namespace onnxport::inspect {
namespace {

/// The names in "past_sequence + sequence" or "floor(height/16)".
std::vector<std::string> names_in(const std::string& text) {
  if (is_plain_name(text)) return {text};
  std::vector<std::string> names;
  std::string word;
  const auto end = [&] {
    const bool is_name = !word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) == 0;
    if (is_name && word != "floor") names.push_back(word);
    word.clear();
  };
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.')
      word += c;
    else
      end();
  }
  end();
  return names;
}

std::set<std::string> initializer_names(const pb::GraphProto& graph) {
  std::set<std::string> names;
  for (const auto& tensor : graph.initializer()) names.insert(tensor.name());
  return names;
}

std::string place(const std::string& input, int axis) {
  return fmt::format("{}[{}]", input, axis);
}

/// What the file says of shapes within, which may be from another size, goes; shape inference finds it anew.
void forget_shapes(pb::GraphProto& graph, bool is_body) {
  graph.clear_value_info();
  const auto forget = [](pb::ValueInfoProto& value) {
    if (value.type().has_tensor_type()) value.mutable_type()->mutable_tensor_type()->clear_shape();
  };
  for (auto& output : *graph.mutable_output()) forget(output);
  if (is_body) {
    for (auto& input : *graph.mutable_input()) forget(input);
  }
  for (auto& node : *graph.mutable_node()) {
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) forget_shapes(*attribute.mutable_g(), true);
      for (auto& body : *attribute.mutable_graphs()) forget_shapes(body, true);
    }
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    constexpr std::string_view opening = "Inference error(s): ";
    const size_t at = line.find(opening);
    if (at != std::string::npos) line.erase(0, at + opening.size());
    // Bytes that were not read are no contradiction.
    if (!line.empty() && line.find("external tensor") == std::string::npos) lines.push_back(line);
  }
  return lines;
}

}  // namespace

bool is_plain_name(const std::string& axis) {
  return axis.find_first_of("+*/()") == std::string::npos && axis.find(" - ") == std::string::npos;
}

ValueTypes::ValueTypes(const pb::GraphProto& graph, const ValueTypes* around) : around_(around) {
  for (const auto& tensor : graph.initializer()) add(tensor);
  for (const auto& value : graph.input()) add(value);
  for (const auto& value : graph.value_info()) add(value);
  for (const auto& value : graph.output()) add(value);
}

void ValueTypes::add(const pb::TensorProto& tensor) {
  known_[tensor.name()] = {tensor.data_type(), Sizes(tensor.dims().begin(), tensor.dims().end())};
}

void ValueTypes::add(const pb::ValueInfoProto& value) {
  if (!value.type().has_tensor_type()) return;
  const auto& type = value.type().tensor_type();
  Known known{type.elem_type(), {}};
  if (type.has_shape()) {
    Sizes sizes;
    for (const auto& dim : type.shape().dim()) {
      if (dim.has_dim_value()) sizes.push_back(dim.dim_value());
    }
    if (static_cast<int>(sizes.size()) == type.shape().dim_size()) known.sizes = sizes;
  }
  // An input that is a weight as well is known by the weight.
  known_.emplace(value.name(), known);
}

const ValueTypes::Known* ValueTypes::find(const std::string& value) const {
  for (const ValueTypes* scope = this; scope != nullptr; scope = scope->around_) {
    const auto found = scope->known_.find(value);
    if (found != scope->known_.end()) return &found->second;
  }
  return nullptr;
}

std::optional<Sizes> ValueTypes::sizes(const std::string& value) const {
  const Known* known = find(value);
  return known == nullptr ? std::nullopt : known->sizes;
}

int32_t ValueTypes::element_type(const std::string& value) const {
  const Known* known = find(value);
  return known == nullptr ? 0 : known->type;
}

std::optional<uint64_t> ValueTypes::bytes(const std::string& value) const {
  const Known* known = find(value);
  if (known == nullptr || !known->sizes) return std::nullopt;
  pb::TensorProto tensor;
  tensor.set_data_type(known->type);
  for (int64_t size : *known->sizes) tensor.add_dims(size);
  return bytes_of(tensor);
}

SizableModel::SizableModel(const pb::ModelProto& model) : model_(model) {
  if (model_.functions_size() > 0) pb::inliner::InlineLocalFunctions(model_);
  forget_shapes(*model_.mutable_graph(), false);
  collect_axes();
  find_demands();
}

void SizableModel::collect_axes() {
  pb::GraphProto& graph = *model_.mutable_graph();
  const std::set<std::string> weights = initializer_names(graph);
  for (auto& input : *graph.mutable_input()) {
    if (weights.contains(input.name()) || !input.type().has_tensor_type()) continue;
    auto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int axis = 0; axis < shape.dim_size(); ++axis) {
      auto& dim = *shape.mutable_dim(axis);
      if (dim.has_dim_value()) continue;
      if (dim.dim_param().empty()) dim.set_dim_param(place(input.name(), axis));
      for (const std::string& name : names_in(dim.dim_param())) {
        const auto known =
            std::find_if(axes_.begin(), axes_.end(), [&](const OpenAxis& other) { return other.name == name; });
        if (known == axes_.end())
          axes_.push_back({name, place(input.name(), axis), axis == 0});
        else
          known->leads = known->leads && axis == 0;
      }
    }
  }
}

/// A convolution takes as many channels as its weight has.
void SizableModel::find_demands() {
  const pb::GraphProto& graph = model_.graph();
  std::map<std::string, int64_t> channels;
  for (const auto& tensor : graph.initializer()) {
    if (tensor.dims_size() > 2) channels[tensor.name()] = tensor.dims(1);
  }
  for (const auto& node : graph.node()) {
    if (node.op_type() != "Conv" || node.input_size() < 2 || !channels.contains(node.input(1))) continue;
    int64_t groups = 1;
    for (const auto& attribute : node.attribute()) {
      if (attribute.name() == "group") groups = attribute.i();
    }
    for (OpenAxis& axis : axes_) {
      if (axis.place == place(node.input(0), 1)) axis.only = channels.at(node.input(1)) * groups;
    }
  }
}

ir::Lengths SizableModel::complete(ir::Lengths given, int64_t otherwise) const {
  for (const OpenAxis& axis : axes_) given.emplace(axis.name, axis.only.value_or(axis.leads ? 1 : otherwise));
  return given;
}

namespace {

/// `propagates`: onnx's own arithmetic of shapes is done as well. Yields what contradicts itself.
std::vector<std::string> problems_of(pb::ModelProto& model, bool propagates) {
  pb::shape_inference::DataValueMap unused;
  try {
    pb::shape_inference::InferShapes(model, pb::OpSchemaRegistry::Instance(),
                                     pb::ShapeInferenceOptions(false, 1, propagates), &unused);
  } catch (const std::exception& error) {
    return lines_of(error.what());
  }
  return {};
}

void infer(SizedModel& sized) {
  sized.problems = problems_of(sized.model, true);
  // That arithmetic takes every tensor of integers for a row, and fails at sums of those with more axes.
  if (!sized.problems.empty()) sized.problems = problems_of(sized.model, false);
}

bool knows_all(const pb::GraphProto& graph, const ValueTypes& types) {
  for (const auto& node : graph.node()) {
    for (const std::string& output : node.output()) {
      if (!output.empty() && !types.sizes(output)) return false;
    }
  }
  return true;
}

}  // namespace

SizedModel SizableModel::at(const ir::Lengths& lengths) const {
  pb::ModelProto model = model_;
  for (auto& input : *model.mutable_graph()->mutable_input()) {
    if (!input.type().has_tensor_type() || !input.type().tensor_type().has_shape()) continue;
    for (auto& dim : *input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
      if (!dim.has_dim_param()) continue;
      if (const auto length = length_of(ir::Dim::symbol(dim.dim_param()), lengths)) dim.set_dim_value(*length);
    }
  }
  // Shapes that hang on integers which the graph computes are known a round after these.
  constexpr int most_rounds = 8;
  SizedModel sized{model, {}, {}};
  infer(sized);
  for (int round = 0; round < most_rounds; ++round) {
    const ValueTypes types(sized.model.graph());
    std::map<std::string, SmallIntegers> known = small_integers(sized.model.graph(), types);
    const bool has_news = known.size() > sized.integers.size();
    for (auto& [name, integers] : known) sized.integers[name] = integers.values;
    if (!has_news || knows_all(sized.model.graph(), types)) break;
    pb::ModelProto told = model;
    const std::set<std::string> initializers = initializer_names(told.graph());
    for (const auto& [name, integers] : known) {
      const int32_t type = types.element_type(name);
      if (type != 0 && !initializers.contains(name))
        *told.mutable_graph()->add_initializer() = tensor_of(name, integers, type);
    }
    SizedModel next{std::move(told), {}, sized.integers};
    infer(next);
    if (!next.problems.empty()) {
      // Such as a table that is shorter than the text. What holds without these integers still does.
      sized.problems = std::move(next.problems);
      break;
    }
    sized = std::move(next);
  }
  return sized;
}

}  // namespace onnxport::inspect

// SPDX-License-Identifier: Apache-2.0
#include "core/transform/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"

namespace onnxport {
namespace {

using Dimension = pb::TensorShapeProto_Dimension;

pb::TensorShapeProto* shape_of(pb::ValueInfoProto& value) {
  if (!value.type().has_tensor_type() || !value.type().tensor_type().has_shape()) return nullptr;
  return value.mutable_type()->mutable_tensor_type()->mutable_shape();
}

class Naming {
 public:
  Naming(ModelParts& model, const std::map<std::string, PortAxes>& ports, const AxisNames& names)
      : model_(model), ports_(ports), names_(names) {}

  void run() {
    pb::GraphProto& graph = *model_.model.mutable_graph();
    std::vector<pb::ValueInfoProto*> others;
    for (pb::ValueInfoProto& input : *graph.mutable_input()) {
      if (is_given(model_, input) && !name(input)) others.push_back(&input);
    }
    for (pb::ValueInfoProto& output : *graph.mutable_output()) {
      if (!name(output)) others.push_back(&output);
    }
    for (pb::ValueInfoProto& value : *graph.mutable_value_info()) others.push_back(&value);
    for (pb::ValueInfoProto* value : others) carry_over(*value);
  }

 private:
  std::string text_of(const std::string& symbol) const {
    const auto renamed = names_.by_symbol.find(symbol);
    return renamed == names_.by_symbol.end() ? symbol : renamed->second;
  }
  std::string text_of(const ir::Dim& dim) const {
    ir::Dim renamed(dim.constant());
    for (const auto& [symbol, factor] : dim.terms())
      renamed = renamed + ir::Dim::symbol(text_of(symbol)) * ir::Dim(factor);
    return renamed.to_string();
  }

  /// Whether the definition has it.
  bool name(pb::ValueInfoProto& value) {
    const auto port = ports_.find(value.name());
    pb::TensorShapeProto* shape = shape_of(value);
    if (port == ports_.end() || shape == nullptr) return false;
    const std::vector<std::optional<ir::Dim>>& axes = port->second.axes;
    const auto rank = static_cast<size_t>(shape->dim_size());
    if (axes.size() > rank || (port->second.is_whole && axes.size() < rank)) {
      throw Error(Failure::usage,
                  fmt::format("'{}' has {} axes in the file, and {} in the model's definition", value.name(),
                              shape->dim_size(), axes.size()),
                  "name the checkpoint that the file was exported from with -m, and its feature with --feature");
    }
    for (size_t i = 0; i < rank; ++i) {
      Dimension& dim = *shape->mutable_dim(static_cast<int>(i));
      const auto open = port->second.open.find(i);
      const std::optional<ir::Dim> known = i < axes.size() ? axes[i] : std::nullopt;
      if (names_.keeps_open && open != port->second.open.end())
        call(dim, text_of(open->second));
      else if (known && known->is_static())
        size(dim, known->size(), value.name(), i);
      else if (known)
        call(dim, text_of(*known));
      else
        carry_over(dim);
    }
    return true;
  }

  void learn(const Dimension& dim, const std::string& text) {
    if (dim.dim_param().empty()) return;
    const auto [known, is_new] = learned_.emplace(dim.dim_param(), text);
    if (!is_new && known->second != text) ambiguous_.insert(dim.dim_param());
  }

  void call(Dimension& dim, const std::string& text) {
    if (dim.has_dim_value()) return;
    learn(dim, text);
    dim.set_dim_param(text);
  }

  void size(Dimension& dim, int64_t size, const std::string& port, size_t axis) {
    if (dim.has_dim_value() && dim.dim_value() != size) {
      throw Error(Failure::usage,
                  fmt::format("'{}' is {} long along axis {} in the file, and {} in the model's definition", port,
                              dim.dim_value(), axis, size),
                  "name the checkpoint that the file was exported from with -m");
    }
    learn(dim, std::to_string(size));
    dim.set_dim_value(size);
  }

  void carry_over(pb::ValueInfoProto& value) {
    pb::TensorShapeProto* shape = shape_of(value);
    for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) carry_over(*shape->mutable_dim(i));
  }

  /// An axis of which nothing is known but what the file calls it: as a whole, or the sum that its name is.
  void carry_over(Dimension& dim) {
    if (dim.dim_param().empty()) return;
    ir::Dim told;
    if (const auto whole = known(dim.dim_param())) {
      told = *whole;
    } else {
      try {
        const ir::Dim sum = ir::Dim::parse(dim.dim_param());
        told = ir::Dim(sum.constant());
        for (const auto& [symbol, factor] : sum.terms())
          told = told + known(symbol).value_or(ir::Dim::symbol(symbol)) * ir::Dim(factor);
      } catch (const Error&) {  // a name of its own
        return;
      }
    }
    if (told.is_static())
      dim.set_dim_value(told.size());
    else
      dim.set_dim_param(told.to_string());
  }

  std::optional<ir::Dim> known(const std::string& symbol) const {
    const auto found = learned_.find(symbol);
    if (found == learned_.end() || ambiguous_.contains(symbol)) return std::nullopt;
    const std::string& text = found->second;
    const bool is_size = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    return is_size ? ir::Dim(std::stoll(text)) : ir::Dim::symbol(text);
  }

  ModelParts& model_;
  const std::map<std::string, PortAxes>& ports_;
  const AxisNames& names_;
  std::map<std::string, std::string> learned_;  // what became of the file's names
  std::set<std::string> ambiguous_;             // those that became several
};

using Renamed = std::map<std::string, std::string>;

void rename_in(pb::GraphProto& graph, const Renamed& names);

void rename_in(google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, const Renamed& names) {
  const auto rename = [&](std::string& name) {
    if (const auto found = names.find(name); found != names.end()) name = found->second;
  };
  for (pb::NodeProto& node : nodes) {
    for (std::string& input : *node.mutable_input()) rename(input);
    for (std::string& output : *node.mutable_output()) rename(output);
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) rename_in(*attribute.mutable_g(), names);
      for (pb::GraphProto& graph : *attribute.mutable_graphs()) rename_in(graph, names);
    }
  }
}

/// Names of values are unique over a graph and those within it.
void rename_in(pb::GraphProto& graph, const Renamed& names) {
  rename_in(*graph.mutable_node(), names);
  for (auto* list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()}) {
    for (pb::ValueInfoProto& value : *list) {
      if (const auto found = names.find(value.name()); found != names.end()) value.set_name(found->second);
    }
  }
  for (pb::TensorProto& tensor : *graph.mutable_initializer()) {
    if (const auto found = names.find(tensor.name()); found != names.end()) tensor.set_name(found->second);
  }
}

}  // namespace

bool is_given(const ModelParts& model, const pb::ValueInfoProto& input) {
  const auto is_weight = [&](const std::string& name) { return name == input.name(); };
  return std::none_of(model.weights.begin(), model.weights.end(),
                      [&](const StreamedInitializer& weight) { return is_weight(weight.header.name()); }) &&
         std::none_of(model.model.graph().initializer().begin(), model.model.graph().initializer().end(),
                      [&](const pb::TensorProto& tensor) { return is_weight(tensor.name()); });
}

void name_axes(ModelParts& model, const std::map<std::string, PortAxes>& ports, const AxisNames& names) {
  Naming(model, ports, names).run();
}

Renamed rename_outputs(ModelParts& model, const Renamed& names) {
  pb::GraphProto& graph = *model.model.mutable_graph();
  std::set<std::string> outputs;
  for (const pb::ValueInfoProto& output : graph.output()) outputs.insert(output.name());
  Renamed done, all;
  for (const auto& [name, wanted] : names) {
    if (!outputs.contains(name) || outputs.contains(wanted)) continue;
    done.emplace(name, wanted);
    all.emplace(name, wanted);
    all.emplace(wanted, wanted + "_before");  // a value in between that is called so already
  }
  if (done.empty()) return done;
  for (const pb::ValueInfoProto& input : graph.input()) {
    if (all.contains(input.name())) {
      throw Error(Failure::usage, fmt::format("the input '{}' is called as an output should be", input.name()),
                  "choose another --layout");
    }
  }
  rename_in(graph, all);
  for (StreamedInitializer& weight : model.weights) {
    if (const auto found = all.find(weight.header.name()); found != all.end()) weight.header.set_name(found->second);
  }
  return done;
}

}  // namespace onnxport

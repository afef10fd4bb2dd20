// SPDX-License-Identifier: Apache-2.0
#include "core/validate/file_segments.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/validate/light_model.hpp"

namespace onnxport {
namespace {

namespace pb = inspect::pb;

/// What a node takes of the graph around it: its inputs, and what its bodies use of what they do not make.
void add_used(const pb::NodeProto& node, std::set<std::string>& used);

void add_captured(const pb::GraphProto& body, std::set<std::string>& used) {
  std::set<std::string> inside, own;
  for (const auto& input : body.input()) own.insert(input.name());
  for (const auto& tensor : body.initializer()) own.insert(tensor.name());
  for (const auto& node : body.node()) {
    add_used(node, inside);
    own.insert(node.output().begin(), node.output().end());
  }
  for (const auto& output : body.output()) inside.insert(output.name());
  for (const std::string& name : inside) {
    if (!own.contains(name)) used.insert(name);
  }
}

void add_used(const pb::NodeProto& node, std::set<std::string>& used) {
  for (const std::string& input : node.input()) {
    if (!input.empty()) used.insert(input);
  }
  for (const auto& attribute : node.attribute()) {
    if (attribute.has_g()) add_captured(attribute.g(), used);
    for (const auto& body : attribute.graphs()) add_captured(body, used);
  }
}

template <class Fields>
std::set<std::string> names_in(const Fields& fields) {
  std::set<std::string> names;
  for (const auto& field : fields) names.insert(field.name());
  return names;
}

}  // namespace

FileSegments::FileSegments(const inspect::OnnxFile& file, const ir::Graph& lowered,
                           const std::vector<std::vector<std::string>>& wanted)
    : file_(file), parts_(wanted.size()) {
  const pb::GraphProto& graph = file.model.graph();
  const std::set<std::string> inputs = names_in(graph.input()), initializers = names_in(graph.initializer());
  std::map<std::string, int> maker;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& output : graph.node(i).output()) maker.emplace(output, i);
  }
  for (const ir::Value& value : lowered.values) types_.emplace(value.name, value.type);
  for (const ir::NamedValue& output : lowered.outputs) types_[output.name] = lowered[output.value].type;

  std::vector<bool> is_taken(static_cast<size_t>(graph.node_size()), false);
  for (size_t segment = 0; segment < parts_.size(); ++segment) {
    Part& part = parts_[segment];
    std::set<std::string> needed(wanted[segment].begin(), wanted[segment].end());
    for (const std::string& name : needed) {
      if (!maker.contains(name)) {
        throw Error(Failure::differs,
                    fmt::format("{} lacks the value '{}', by which it would be cut", file.path.string(), name),
                    "export the model again with this version");
      }
    }
    // A file's nodes stand in topological order.
    for (int i = graph.node_size() - 1; i >= 0; --i) {
      const pb::NodeProto& node = graph.node(i);
      bool is_needed = false;
      for (const std::string& output : node.output()) is_needed = is_needed || needed.contains(output);
      if (!is_needed || is_taken[static_cast<size_t>(i)]) continue;
      is_taken[static_cast<size_t>(i)] = true;
      part.nodes.insert(part.nodes.begin(), i);
      part.makes.insert(node.output().begin(), node.output().end());
      add_used(node, needed);
    }
    part.makes.erase("");
    for (const std::string& name : part.makes) made_in_.emplace(name, segment);
    for (const std::string& name : needed) {
      if (initializers.contains(name))
        part.initializers.insert(name);
      else if (inputs.contains(name))
        part.inputs.insert(name);
      else if (maker.contains(name))
        use(segment, name);
    }
    for (const std::string& name : wanted[segment]) {
      parts_[made_in_.at(name)].yields.insert(name);
      last_use_[name] = segment;
    }
  }
}

void FileSegments::use(size_t segment, const std::string& name) {
  const size_t made = made_in_.at(name);
  if (made == segment) return;
  parts_[made].yields.insert(name);
  parts_[segment].takes.insert(name);
  last_use_[name] = segment;
}

void FileSegments::forget(Tensors& values, size_t segment) const {
  std::erase_if(values, [&](const auto& value) {
    const auto last = last_use_.find(value.first);
    return last != last_use_.end() && last->second <= segment;
  });
}

ModelImage FileSegments::image(size_t segment, const std::set<std::string>& further) const {
  const Part& part = parts_.at(segment);
  const pb::GraphProto& whole = file_.model.graph();
  pb::ModelProto model = file_.model;
  model.clear_graph();
  pb::GraphProto& graph = *model.mutable_graph();
  graph.set_name(fmt::format("{} segment {}", whole.name(), segment + 1));
  for (int i : part.nodes) *graph.add_node() = whole.node(i);
  for (const auto& tensor : whole.initializer()) {
    if (part.initializers.contains(tensor.name())) *graph.add_initializer() = tensor;
  }
  for (const auto& input : whole.input()) {
    if (part.inputs.contains(input.name())) *graph.add_input() = input;
  }
  const auto declare = [&](pb::ValueInfoProto& info, const std::string& name) {
    const auto type = types_.find(name);
    if (type == types_.end())
      throw Error(Failure::internal, fmt::format("nobody knows the type of '{}', which is carried", name));
    info.set_name(name);
    pb::TypeProto_Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(static_cast<int32_t>(type->second.dtype));
    // Shape inference takes values of unknown rank for ones without axes where it follows a Shape.
    for (const ir::Dim& dim : type->second.shape) {
      pb::TensorShapeProto_Dimension& axis = *tensor.mutable_shape()->add_dim();
      if (dim.is_static()) axis.set_dim_value(dim.size());
    }
    tensor.mutable_shape();
  };
  for (const std::string& name : part.takes) declare(*graph.add_input(), name);
  std::set<std::string> outputs = part.yields;
  for (const std::string& name : further) {
    if (part.makes.contains(name)) outputs.insert(name);
  }
  for (const std::string& name : outputs) declare(*graph.add_output(), name);
  return image_of(file_, std::move(model));
}

}  // namespace onnxport

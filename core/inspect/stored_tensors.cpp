// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/stored_tensors.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/inspect/module_path.hpp"

namespace onnxport::inspect {
namespace {

void add_nodes(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, std::vector<StoredTensor>& out);

void add_graph(const pb::GraphProto& graph, std::vector<StoredTensor>& out) {
  const WeightModules modules(graph);
  for (const auto& tensor : graph.initializer()) out.push_back({tensor.name(), modules.of(tensor.name()), &tensor});
  for (const auto& sparse : graph.sparse_initializer())
    out.push_back({sparse.values().name(), modules.of(sparse.values().name()), &sparse.values()});
  add_nodes(graph.node(), out);
}

void add_nodes(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, std::vector<StoredTensor>& out) {
  for (const auto& node : nodes) {
    for (const auto& attribute : node.attribute()) {
      const std::string name = node.output_size() > 0 ? node.output(0) : node.name();
      if (attribute.has_t()) out.push_back({name, module_of(node), &attribute.t(), true});
      for (const auto& tensor : attribute.tensors()) out.push_back({name, module_of(node), &tensor, true});
      if (attribute.has_g()) add_graph(attribute.g(), out);
      for (const auto& graph : attribute.graphs()) add_graph(graph, out);
    }
  }
}

/// A location that stays below the model's folder, as runtimes demand.
bool stays_below(const std::filesystem::path& location) {
  if (location.is_absolute()) return false;
  return std::none_of(location.begin(), location.end(), [](const auto& part) { return part == ".."; });
}

}  // namespace

std::vector<StoredTensor> stored_tensors(const pb::ModelProto& model) {
  std::vector<StoredTensor> tensors;
  add_graph(model.graph(), tensors);
  for (const auto& function : model.functions()) add_nodes(function.node(), tensors);
  return tensors;
}

std::shared_ptr<const MappedFile> TensorBytes::open(const std::string& location) {
  if (location.empty()) return file_.mapping;
  const auto [entry, is_new] = opened_.emplace(location, nullptr);
  if (is_new && stays_below(location)) {
    try {
      entry->second = MappedFile::open((file_.folder() / location).string());
    } catch (const Error&) {  // not there, or empty: the caller says so of the tensor
    }
  }
  return entry->second;
}

std::string TensorBytes::problem(const pb::TensorProto& tensor) {
  const auto place = place_of(tensor);
  if (!place) return {};
  if (!stays_below(place->location))
    return fmt::format("its data lies in {}, outside of the model's folder, where runtimes refuse to read",
                       place->location);
  const auto mapped = open(place->location);
  if (mapped == nullptr) return fmt::format("its data is in {}, which is not there", place->location);
  const uint64_t expected = bytes_of(tensor), length = place->length.value_or(expected);
  if (place->is_raw && length != expected)
    return fmt::format("its data is {}, and its type and dimensions take {}", format_bytes(length),
                       format_bytes(expected));
  const uint64_t size = mapped->bytes().size();
  if (place->offset > size || length > size - place->offset) {
    return fmt::format("its data ends behind the end of {} ({})",
                       place->location.empty() ? file_.path.filename().string() : place->location, format_bytes(size));
  }
  return {};
}

std::optional<std::span<const std::byte>> TensorBytes::of(const pb::TensorProto& tensor) {
  const auto place = place_of(tensor);
  if (!place) {
    if (!tensor.has_raw_data()) return std::nullopt;
    return std::as_bytes(std::span(tensor.raw_data()));
  }
  if (!place->is_raw || !problem(tensor).empty()) return std::nullopt;
  return open(place->location)->bytes().subspan(place->offset, place->length.value_or(bytes_of(tensor)));
}

}  // namespace onnxport::inspect

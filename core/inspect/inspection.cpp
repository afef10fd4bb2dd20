// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/inspection.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/inspect/module_path.hpp"

namespace onnxport::inspect {
namespace {

/// Of axes that nobody gave a size: the first at which the model runs, whose tables may be shorter than usual.
constexpr int64_t usual_lengths[] = {128, 32, 8};

Port port_of(const pb::ValueInfoProto& value) {
  Port port{value.name(), "(no tensor)", {}, std::nullopt};
  if (!value.type().has_tensor_type()) return port;
  const auto& type = value.type().tensor_type();
  port.type = port.element = type_name(type.elem_type());
  if (!type.has_shape()) return port;
  std::vector<std::string>& dimensions = port.dimensions.emplace();
  for (const auto& dim : type.shape().dim()) {
    const std::string symbol = dim.dim_param().empty() ? "?" : dim.dim_param();
    dimensions.push_back(dim.has_dim_value() ? std::to_string(dim.dim_value()) : symbol);
  }
  port.type += fmt::format("[{}]", fmt::join(dimensions, ", "));
  return port;
}

/// The module and all that it stands in, the whole ("") first.
std::vector<std::string> with_outer(const std::string& module) {
  std::vector<std::string> modules{""};
  if (module.empty()) return modules;
  for (size_t dot = module.find('.'); dot != std::string::npos; dot = module.find('.', dot + 1))
    modules.push_back(module.substr(0, dot));
  modules.push_back(module);
  return modules;
}

void count_nodes(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, Inspection& out) {
  for (const auto& node : nodes) {
    ++out.nodes;
    const std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
    ++out.operators[domain.empty() ? node.op_type() : domain + ":" + node.op_type()];
    ++out.domains[domain];
    for (const std::string& module : with_outer(module_of(node))) ++out.by_module[module].nodes;
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) count_nodes(attribute.g().node(), out);
      for (const auto& graph : attribute.graphs()) count_nodes(graph.node(), out);
    }
  }
}

/// Nobody trains whole numbers of 32 bits and more, or truth values: they are shapes, axes and masks of the graph.
bool holds_parameters(const pb::TensorProto& tensor) {
  switch (tensor.data_type()) {
    case pb::TensorProto::INT32:
    case pb::TensorProto::INT64:
    case pb::TensorProto::UINT32:
    case pb::TensorProto::UINT64:
    case pb::TensorProto::BOOL:
    case pb::TensorProto::STRING:
      return false;
    default:
      return true;
  }
}

void add_stored(const std::vector<StoredTensor>& tensors, Inspection& out) {
  for (const StoredTensor& tensor : tensors) {
    const Stored one{1, elements_of(*tensor.tensor), tensor.bytes()};
    out.by_type[type_name(tensor.tensor->data_type())] += one;
    Stored share = one;
    if (!holds_parameters(*tensor.tensor)) share.parameters = 0;
    for (const std::string& module : with_outer(tensor.module)) out.by_module[module].stored += share;
    const auto place = place_of(*tensor.tensor);
    if (place && !place->location.empty()) out.external_files[place->location] += one.bytes;
  }
}

void check_sizes(const ir::Lengths& sizes, const std::vector<OpenAxis>& axes) {
  std::vector<std::string> names;
  for (const OpenAxis& axis : axes) names.push_back(axis.name);
  for (const auto& [name, size] : sizes) {
    if (size < 1)
      throw Error(Failure::usage, fmt::format("--sizes {}={} is no length", name, size), "give a number above 0");
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    throw Error(Failure::usage, fmt::format("--sizes {}: no input of the model has such an open axis", name),
                names.empty() ? "all its axes are fixed" : fmt::format("its axes are {}", fmt::join(names, ", ")));
  }
}

/// The model at the sizes that were given and a usual length for other axes; `sizes` are then all of them.
SizedModel at_usual_length(const SizableModel& sizable, const ir::Lengths& given, ir::Lengths& sizes) {
  for (const int64_t length : usual_lengths) {
    sizes = sizable.complete(given, length);
    if (SizedModel sized = sizable.at(sizes); sized.problems.empty()) return sized;
  }
  sizes = sizable.complete(given, usual_lengths[0]);
  return sizable.at(sizes);
}

}  // namespace

Stored& Stored::operator+=(const Stored& other) {
  tensors += other.tensors;
  parameters += other.parameters;
  bytes += other.bytes;
  return *this;
}

bool Inspection::is_sound() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.weight == Finding::Weight::error; });
}

std::vector<Port> inputs_of(const pb::GraphProto& graph) {
  std::set<std::string> weights;  // before IR version 4 they are inputs as well
  for (const auto& tensor : graph.initializer()) weights.insert(tensor.name());
  std::vector<Port> ports;
  for (const auto& input : graph.input()) {
    if (!weights.contains(input.name())) ports.push_back(port_of(input));
  }
  return ports;
}

std::vector<Port> outputs_of(const pb::GraphProto& graph) {
  std::vector<Port> ports;
  for (const auto& output : graph.output()) ports.push_back(port_of(output));
  return ports;
}

Inspection inspect(const OnnxFile& file, const InspectOptions& options) {
  const pb::ModelProto& model = file.model;
  Inspection out;
  out.producer = model.producer_name();
  out.producer_version = model.producer_version();
  out.ir_version = model.ir_version();
  for (const auto& opset : model.opset_import())
    out.opsets.emplace_back(opset.domain() == "ai.onnx" ? "" : opset.domain(), opset.version());
  out.inputs = inputs_of(model.graph());
  out.outputs = outputs_of(model.graph());
  count_nodes(model.graph().node(), out);
  out.functions = static_cast<uint64_t>(model.functions_size());
  for (const auto& entry : model.metadata_props()) out.metadata[entry.key()] = entry.value();

  const std::vector<StoredTensor> tensors = stored_tensors(model);
  add_stored(tensors, out);
  const SizableModel sizable(model);
  out.axes = sizable.axes();
  check_sizes(options.sizes, out.axes);
  const SizedModel sized = at_usual_length(sizable, options.sizes, out.sizes);
  out.cost = cost_of(sized);
  for (const auto& [module, operations] : out.cost.by_module) {
    for (const std::string& outer : with_outer(module)) out.by_module[outer].operations += operations;
  }
  if (options.wants_law) out.law = law_of(sizable);
  out.findings = find_faults({file, tensors, sizable});
  if (options.runtime) {
    for (Finding& lack : lacks_of(*options.runtime, model)) out.findings.push_back(std::move(lack));
  }
  return out;
}

}  // namespace onnxport::inspect

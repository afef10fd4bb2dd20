// SPDX-License-Identifier: Apache-2.0
#include "host/export/planned_export.hpp"

#include "host/export/expected_weights.hpp"

namespace onnxport {
namespace {

PlannedTensor planned(const ir::Graph& graph, const ir::NamedValue& named) {
  const ir::Value& value = graph.values[named.value];
  PlannedTensor tensor{named.name, std::string(ir::name_of(value.type.dtype)), {}};
  for (size_t axis = 0; axis < value.type.shape.size(); ++axis) {
    const auto open = value.open_axes.find(axis);
    tensor.shape.push_back(open == value.open_axes.end() ? value.type.shape[axis].to_string() : open->second);
  }
  return tensor;
}

void add_new(std::vector<PlannedTensor>& tensors, PlannedTensor tensor) {
  for (const PlannedTensor& known : tensors) {
    if (known.name == tensor.name) return;
  }
  tensors.push_back(std::move(tensor));
}

/// Of two steps in one file the inputs of both, and the outputs, which have the same names.
PlannedGraph planned(const GraphToExport& graph, const std::vector<std::string>& parts) {
  PlannedGraph planned_graph{graph.file, parts, {}, {}};
  for (const Definition* definition : graph.definitions) {
    for (const ir::NamedValue& input : definition->graph.inputs)
      add_new(planned_graph.inputs, planned(definition->graph, input));
    for (const ir::NamedValue& output : definition->graph.outputs)
      add_new(planned_graph.outputs, planned(definition->graph, output));
  }
  if (graph.definitions.size() > 1) planned_graph.inputs.push_back({branch_input, "bool", {"1"}});
  return planned_graph;
}

}  // namespace

PlannedExport plan_of(const ExportToRepeat& wanted, const ExportedFiles& files) {
  const OnnxConfig& config = *wanted.selection.onnx_config;
  WeightSource expected;
  const DefinedGraphs defined = define_graphs(config, expected, files.graphs, {.outputs = wanted.plan.outputs});
  PlannedExport found{.folder = files.folder,
                      .opset = wanted.opset,
                      .default_opset = config.default_onnx_opset(),
                      .min_opset = config.min_opset(),
                      .atol = config.atol_for_validation()};
  const uint64_t bytes = expected_weights(expected).bytes;
  found.parameters = bytes / sizeof(float);
  found.weight_bytes = bytes_as(wanted.plan.weights.dtype, bytes);
  for (size_t i = 0; i < defined.graphs.size(); ++i)
    found.graphs.push_back(planned(defined.graphs[i], files.graphs[i].parts));
  return found;
}

}  // namespace onnxport

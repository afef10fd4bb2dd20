// SPDX-License-Identifier: Apache-2.0
#include "host/export/planned_export.hpp"

#include "host/export/expected_weights.hpp"
#include "host/export/form_of_inputs.hpp"
#include "host/plan/input_plan.hpp"

namespace onnxport {
namespace {

/// An axis as the layout calls it.
std::string name_of(const ir::Dim& dim, const Layout& layout) {
  ir::Dim renamed(dim.constant());
  for (const auto& [symbol, factor] : dim.terms()) {
    const auto found = layout.axes.find(symbol);
    renamed = renamed + ir::Dim::symbol(found == layout.axes.end() ? symbol : found->second) * ir::Dim(factor);
  }
  return renamed.to_string();
}

PlannedTensor planned(const ir::NamedValue& named, const ir::Value& value, const Layout& layout) {
  PlannedTensor tensor{named.name, std::string(ir::name_of(value.type.dtype)), {}};
  for (size_t axis = 0; axis < value.type.shape.size(); ++axis) {
    const auto open = value.open_axes.find(axis);
    const bool is_open = layout.keeps_open_axes && open != value.open_axes.end();
    tensor.shape.push_back(name_of(is_open ? ir::Dim::symbol(open->second) : value.type.shape[axis], layout));
  }
  return tensor;
}

/// Of two steps in one file the inputs of both, and the outputs, which have the same names: what the later one says of
/// its axes holds.
void add(std::vector<PlannedTensor>& tensors, PlannedTensor tensor) {
  for (PlannedTensor& known : tensors) {
    if (known.name != tensor.name) continue;
    known = std::move(tensor);
    return;
  }
  tensors.push_back(std::move(tensor));
}

PlannedGraph planned(const GraphToExport& to_export, const std::vector<std::string>& parts,
                     const ExportToRepeat& wanted) {
  const ExportPlan& plan = wanted.plan;
  PlannedGraph planned_graph{to_export.file, parts, {}, {}};
  for (const Definition* definition : to_export.definitions) {
    const ir::Graph graph = in_form(*definition, plan.inputs, wanted.selection.onnx_config->model_config());
    for (const ir::NamedValue& input : graph.inputs)
      add(planned_graph.inputs, planned(input, graph[input.value], *plan.layout));
    for (const ir::NamedValue& output : graph.outputs)
      add(planned_graph.outputs, planned(output, graph[output.value], *plan.layout));
  }
  if (to_export.definitions.size() > 1) planned_graph.inputs.push_back({branch_input, "bool", {"1"}});
  return planned_graph;
}

}  // namespace

PlannedExport plan_of(const ExportToRepeat& wanted, const ExportedFiles& files) {
  const OnnxConfig& config = *wanted.selection.onnx_config;
  require_inputs(wanted.plan.inputs, config, files.graphs);
  WeightSource expected;
  DefinedGraphs defined = define_graphs(config, expected, files.graphs, {.outputs = wanted.plan.outputs});
  defined.rename_outputs(wanted.plan.layout->outputs);
  PlannedExport found{.folder = files.folder,
                      .opset = wanted.opset,
                      .default_opset = config.default_onnx_opset(),
                      .min_opset = config.min_opset(),
                      .atol = config.atol_for_validation()};
  const uint64_t bytes = expected_weights(expected).bytes;
  found.parameters = bytes / sizeof(float);
  found.weight_bytes = bytes_as(wanted.plan.weights.dtype, bytes);
  for (size_t i = 0; i < defined.graphs.size(); ++i)
    found.graphs.push_back(planned(defined.graphs[i], files.graphs[i].parts, wanted));
  return found;
}

}  // namespace onnxport

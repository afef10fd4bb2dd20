// SPDX-License-Identifier: Apache-2.0
#include "host/validation/rounded_twin.hpp"

#include <memory>

namespace onnxport {
namespace {

Definition rounded(const Definition& definition, ir::DType dtype) {
  Definition twin = definition;
  for (ir::Value& value : twin.graph.values) {
    if (value.origin != ir::Origin::weight || value.type.dtype != ir::DType::f32) continue;
    value.weight = std::make_shared<const Weight>(value.weight->then(CastTo{dtype}).then(CastTo{ir::DType::f32}));
  }
  return twin;
}

}  // namespace

RoundedTwin::RoundedTwin(const ExportToValidate& exported, const std::atomic<bool>* cancel)
    : output_(exported.folder / "rounded"), exported_(exported) {
  size_t count = 0;
  for (const GraphToExport& graph : exported.graphs) count += graph.definitions.size();
  definitions_.reserve(count);  // the graphs point into it
  for (const GraphToExport& graph : exported.graphs) {
    GraphToExport& twin = graphs_.emplace_back();
    twin.file = graph.file;
    for (const Definition* definition : graph.definitions) {
      definitions_.push_back(rounded(*definition, exported.form.dtype));
      twin.definitions.push_back(&definitions_.back());
    }
  }
  ExportOptions options;
  options.opset = exported.form.opset;
  options.inputs = exported.form.inputs;
  options.external_data = true;
  options.progress.cancel = cancel;
  export_graphs(exported.config, graphs_, output_.folder(), options);
}

ExportToValidate RoundedTwin::exported() const {
  return {exported_.config,
          exported_.model_config,
          exported_.preprocessor,
          exported_.graphs,
          exported_.weights,
          output_.folder(),
          {.opset = exported_.form.opset, .inputs = exported_.form.inputs},
          exported_.budget,
          exported_.traces_values,
          exported_.kernels,
          exported_.memory,
          exported_.scripts,
          exported_.calibration};
}

}  // namespace onnxport

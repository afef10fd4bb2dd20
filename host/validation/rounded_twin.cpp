// SPDX-License-Identifier: Apache-2.0
#include "host/validation/rounded_twin.hpp"

#include <utility>

#include "core/passes/rounded_weights.hpp"

namespace onnxport {
RoundedTwin::RoundedTwin(const ExportToValidate& exported, const std::atomic<bool>* cancel)
    : output_(exported.folder / "rounded"), exported_(exported) {
  size_t count = 0;
  for (const GraphToExport& graph : exported.graphs) count += graph.definitions.size();
  definitions_.reserve(count);  // the graphs point into it
  for (const GraphToExport& graph : exported.graphs) {
    GraphToExport& twin = graphs_.emplace_back();
    twin.file = graph.file;
    for (const Definition* definition : graph.definitions) {
      Definition& copy = definitions_.emplace_back(*definition);
      copy.graph = with_rounded_weights(std::move(copy.graph), exported.form.dtype);
      twin.definitions.push_back(&copy);
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
          exported_.cases,
          exported_.calibration};
}

}  // namespace onnxport

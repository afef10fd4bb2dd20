// SPDX-License-Identifier: Apache-2.0
#include "core/export.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/passes/lower.hpp"

namespace onnxport {

std::vector<Patch> patches_of(const OnnxConfig& config) {
  std::vector<Patch> patches;
  for (const PatchSpec& spec : config.patching_specs()) {
    patches.push_back({spec.domain, spec.op, [&config, tag = spec.tag](ir::Graph& graph, const PatchedNode& patched) {
                         return config.lower_patched(tag, graph, patched);
                       }});
  }
  return patches;
}

ExportResult export_onnx(const OnnxConfig& config, const Definition& definition, const std::filesystem::path& folder,
                         const ExportOptions& options) {
  const int64_t lowest = std::max(lowest_opset, config.min_opset());
  if (options.opset < lowest || options.opset > highest_opset) {
    throw Error(Failure::usage,
                fmt::format("opset {} is out of range for model type '{}': it can be written in opsets {} to {}",
                            options.opset, config.model_type(), lowest, highest_opset),
                fmt::format("choose one of these with --opset; the default is {}", config.default_onnx_opset()));
  }
  if (options.target == Target::ort) {
    throw Error(Failure::usage, "the target 'ort' is not available in this version",
                "use --target onnx, which ONNX Runtime runs as well");
  }
  if (options.progress.report) options.progress.report("lowering", 0, 0);
  const ir::Graph lowered = lower(definition.graph, {.opset = options.opset, .patches = patches_of(config)});
  std::vector<ModelToWrite> models(1);
  models[0] = {to_model(lowered, {.opset = options.opset, .metadata = options.metadata}), options.model_file};
  ExportResult result;
  result.files = write_models(models, {.folder = folder,
                                       .external_data = options.external_data,
                                       .data_file = options.data_file,
                                       .threads = options.threads,
                                       .progress = options.progress});
  for (const ir::NamedValue& input : lowered.inputs) result.inputs.push_back(input.name);
  for (const ir::NamedValue& output : lowered.outputs) result.outputs.push_back(output.name);
  result.nodes = lowered.nodes.size();
  const ModelParts& parts = models[0].parts;
  result.initializers = parts.weights.size() + static_cast<size_t>(parts.model.graph().initializer_size());
  return result;
}

}  // namespace onnxport

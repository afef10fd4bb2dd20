// SPDX-License-Identifier: Apache-2.0
#include "core/export/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/error.hpp"
#include "core/export/told_graph.hpp"
#include "core/onnx/model_file.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/package/layout.hpp"
#include "core/passes/merge_steps.hpp"

namespace onnxport {

std::vector<Patch> patches_of(const OnnxConfig& config) {
  std::vector<Patch> patches;
  for (const PatchSpec& spec : config.patching_specs()) {
    // One of another domain is no patch: it says what an operator of the plugin's own is made of.
    if (!spec.domain.empty() && spec.domain != ir::composite_domain) continue;
    patches.push_back({spec.domain, spec.op, [&config, tag = spec.tag](ir::Graph& graph, const PatchedNode& patched) {
                         return config.lower_patched(tag, graph, patched);
                       }});
  }
  return patches;
}

std::string logits_of(const Description& description) {
  constexpr const char* name = "logits";
  const OutputSpec* logits = description.output(name);
  if (logits == nullptr || logits->axes.size() < 2 || !logits->axes[1]) return {};
  const bool is_over_tokens =
      std::any_of(description.inputs.begin(), description.inputs.end(), [&](const InputSpec& input) {
        return (input.role == ONNXPORT_ROLE_IDS || input.role == ONNXPORT_ROLE_EMBEDDINGS) &&
               input.type.shape.size() >= 2 && input.type.shape[1] == *logits->axes[1];
      });
  return is_over_tokens ? name : std::string();
}

std::vector<GrowingState> growing_states(const Description& description) {
  const auto input_of = [&](const ir::Dim& length) {
    for (const InputSpec& input : description.inputs) {
      const auto axis = std::find(input.type.shape.begin(), input.type.shape.end(), length);
      if (axis != input.type.shape.end())
        return InputAxis{input.name, static_cast<size_t>(axis - input.type.shape.begin())};
    }
    return InputAxis{};
  };
  std::vector<GrowingState> growing;
  for (const StateSpec& state : description.states) {
    const InputSpec* past = description.input(state.past);
    const OutputSpec* present = description.output(state.present);
    if (!state.grows || past == nullptr || present == nullptr) continue;
    GrowingState& known = growing.emplace_back(GrowingState{state.past, state.present, *state.grows, {}, {}});
    if (*state.grows >= present->axes.size() || !present->axes[*state.grows]) continue;
    const ir::Dim& all = *present->axes[*state.grows];
    known.total = input_of(all);
    known.step = input_of(all - past->type.shape.at(*state.grows));
  }
  return growing;
}

KeptModules kept_in(const Definition& definition, const GraphForm& form) {
  KeptModules kept{.parts = definition.description.keep_in_fp32()};
  kept.add(form.keep_in_fp32);
  return kept;
}

ir::Graph lowered_graph(const OnnxConfig& config, const Definition& definition, ir::Graph graph, const GraphForm& form,
                        TiedWeights* tied) {
  return lower(std::move(graph),
               {.opset = form.opset,
                .patches = patches_of(config),
                .weights_as_stored = form.weights_as_stored,
                .dtype = form.dtype,
                .keep_in_fp32 = kept_in(definition, form),
                .inputs = form.inputs,
                .logits = logits_of(definition.description),
                .states = growing_states(definition.description)},
               tied);
}

namespace {

/// Which outputs of the first step a cached one keeps as it was given them, and the inputs by which it was.
std::map<std::string, std::string> kept_by(const Definition& cached) {
  std::map<std::string, std::string> kept;
  for (const StateSpec& state : cached.description.states) kept.emplace(state.present, state.past);
  return kept;
}

ExportedValue as_stated(const pb::ValueInfoProto& info) {
  const pb::TypeProto_Tensor& type = info.type().tensor_type();
  ExportedValue value{info.name(), static_cast<ir::DType>(type.elem_type()), {}};
  for (const pb::TensorShapeProto_Dimension& dim : type.shape().dim())
    value.axes.push_back(dim.has_dim_value() ? std::to_string(dim.dim_value()) : dim.dim_param());
  return value;
}

}  // namespace

ExportedGraph told_of(const std::string& file, const ModelParts& parts) {
  const pb::GraphProto& proto = parts.model.graph();
  std::set<std::string> weights;
  for (const StreamedInitializer& weight : parts.weights) weights.insert(weight.header.name());
  for (const pb::TensorProto& tensor : proto.initializer()) weights.insert(tensor.name());
  ExportedGraph told{.file = file};
  for (const pb::ValueInfoProto& input : proto.input()) {
    if (!weights.contains(input.name())) told.inputs.push_back(as_stated(input));
  }
  for (const pb::ValueInfoProto& output : proto.output()) told.outputs.push_back(as_stated(output));
  told.nodes = static_cast<size_t>(proto.node_size());
  told.initializers = parts.weights.size() + static_cast<size_t>(proto.initializer_size());
  return told;
}

ExportedGraph told_of(const std::string& file, const ModelParts& parts, const ir::Graph& lowered) {
  ExportedGraph told = told_of(file, parts);
  told.nodes = node_count(lowered);
  return told;
}

ExportResult export_onnx(const OnnxConfig& config, const Definition& definition, const std::filesystem::path& folder,
                         const ExportOptions& options) {
  return export_graphs(config, {{options.model_file, {&definition}}}, folder, options);
}

ExportResult export_graphs(const OnnxConfig& config, const std::vector<GraphToExport>& graphs,
                           const std::filesystem::path& folder, const ExportOptions& options) {
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
  std::vector<ModelToWrite> models;
  ExportResult result;
  const GraphForm form{.opset = options.opset,
                       .dtype = options.dtype,
                       .weights_as_stored = !options.linked.empty(),
                       .inputs = options.inputs,
                       .keep_in_fp32 = options.keep_in_fp32};
  for (const GraphToExport& graph : graphs) {
    std::vector<ir::Graph> steps;
    std::map<std::string, std::string> metadata = options.metadata;
    for (const Definition* definition : graph.definitions) {
      if (!definition->part.empty()) {
        std::string& listed = metadata[parts_metadata];
        listed += (listed.empty() ? "" : ",") + definition->part;
      }
    }
    for (const Definition* definition : graph.definitions) {
      TiedWeights tied;
      steps.push_back(lowered_graph(config, *definition, definition->graph, form, &tied));
      result.tied.insert(tied.begin(), tied.end());
    }
    const ir::Graph lowered = steps.size() == 1
                                  ? std::move(steps[0])
                                  : merge_steps({steps[0], steps[1], kept_by(*graph.definitions[1])}, branch_input);
    ModelParts whole = to_model(lowered, {.opset = options.opset,
                                          .metadata = metadata,
                                          .axes = options.axes,
                                          .domains = graph.definitions[0]->description.domain_versions(),
                                          .keep_custom_ops = options.keep_custom_ops});
    if (options.newest_ir_version > 0 && whole.model.ir_version() > options.newest_ir_version)
      whole.model.set_ir_version(options.newest_ir_version);
    result.graphs.push_back(told_of(graph.file, whole, lowered));
    models.push_back({std::move(whole), graph.file});
  }
  const ModelFileOptions how{.folder = folder,
                             .external_data = options.external_data,
                             .data_file = options.data_file,
                             .data_piece = options.data_piece,
                             .linked = options.linked,
                             .placed = options.placed,
                             .planned = options.planned,
                             .threads = options.threads,
                             .memory = options.memory,
                             .progress = options.progress,
                             .not_finite = options.not_finite};
  result.files = write_models(models, how);
  if (options.tells_places) result.placed = places_of(models, how);
  if (!options.linked.empty()) result.not_linked = weights_not_linked(models, how);
  return result;
}

}  // namespace onnxport

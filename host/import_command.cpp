// SPDX-License-Identifier: Apache-2.0
// onnxport import-torchscript: a model that has no plugin, by what its TorchScript computes.
#include <fmt/format.h>

#include <algorithm>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/import/import_script.hpp"
#include "core/onnx/model_file.hpp"
#include "core/output/staging.hpp"
#include "core/passes/pipeline.hpp"
#include "host/commands.hpp"
#include "host/import/import_judge.hpp"
#include "host/plan/choices.hpp"
#include "host/report/imported_file.hpp"
#include "host/report/report.hpp"
#include "host/validation/requirements.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// What a file is written of, and how.
struct ToWrite {
  const ir::Graph& graph;
  ir::DType dtype;
  fs::path folder;
  std::string file;
};

ImportedFile written(const ImportPlan& plan, const ToWrite& what, const Progress& progress) {
  ImportedFile told{plan.module, what.folder, plan.opset, {}, {}, {}};
  TiedWeights tied;
  const ir::Graph lowered = lower(what.graph, {.opset = plan.opset, .patches = {}, .dtype = what.dtype}, &tied);
  told.tied.insert(tied.begin(), tied.end());
  std::map<std::string, std::string> metadata{{"onnxport.imported_from", plan.module.filename().string()}};
  if (what.dtype != ir::DType::f32) metadata["onnxport.dtype"] = name_of(dtype_choices, what.dtype);
  std::vector<ModelToWrite> models;
  models.push_back({to_model(lowered, {.opset = plan.opset, .metadata = metadata}), what.file});
  told.graph = told_of(what.file, models[0].parts, lowered);
  uint64_t bytes = 0;
  for (const StreamedInitializer& weight : models[0].parts.weights) bytes += weight.weight->bytes();
  const ModelFileOptions how{
      .folder = what.folder,
      .external_data = plan.external_data || OnnxConfig::use_external_data_format(bytes / sizeof(float)),
      .data_file = plan.data_name,
      .linked = {},
      .planned = {},
      .progress = progress};
  for (const ExportedFile& file : write_models(models, how)) told.files.push_back({file.path.filename(), file.bytes});
  return told;
}

/// The graph with its weights rounded to the type and f32 again.
ir::Graph rounded(ir::Graph graph, ir::DType dtype) {
  for (ir::Value& value : graph.values) {
    if (value.origin != ir::Origin::weight || value.type.dtype != ir::DType::f32) continue;
    value.weight = std::make_shared<const Weight>(value.weight->then(CastTo{dtype}).then(CastTo{ir::DType::f32}));
  }
  return graph;
}

/// What ONNX Runtime says against a file; empty where it runs it.
std::string refusal_of_runtime(const fs::path& file) {
  try {
    load_backend("onnxruntime").load_file(file.string())->ready();
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

/// Throws Error(usage) where what reads TorchScript is not there.
void require_libtorch() {
  if (backend_installed("reference")) return;
  throw Error(Failure::usage, "TorchScript is read by libtorch, and the reference back end is not installed",
              "install it (of the packages, onnxport-reference)");
}

/// The validation of what lies in the staging folder.
ExportValidation validated(const ImportPlan& plan, const ImportedScript& imported, const fs::path& file,
                           const std::vector<ImportInputs>& inputs, Console& console) {
  const Progress progress = progress_on(console);
  if (progress.report) progress.report("validating", 0, 0);
  std::vector<std::string> refused;
  const std::vector<ValidationInputs> sets = accepted_sets(plan, imported, inputs, refused);
  ExportValidation found;
  const std::string refusal = plan.dtype == ir::DType::bf16 ? refusal_of_runtime(file) : std::string();
  if (refusal.empty()) {
    found = judge_import(plan, imported, file, sets, progress);
  } else {
    check_model_file(file);
    const StagedOutput scratch(file.parent_path() / "rounded");
    const ir::Graph twin = rounded(imported.graph, plan.dtype);
    written(plan, {twin, ir::DType::f32, scratch.folder(), file.filename().string()}, progress);
    found = judge_import(plan, imported, scratch.folder() / file.filename(), sets, progress);
    found.substitute = {load_backend("onnxruntime").version(), refusal};
  }
  auto& told = found.files[0].comparisons[0].not_compared;
  told.insert(told.begin(), refused.begin(), refused.end());
  return found;
}

}  // namespace

int run_import(const ImportArguments& arguments, Console& console) {
  const ImportPlan plan = plan_import(arguments);
  require_libtorch();
  if (plan.validates) require_backends(true);
  StagedOutput output(plan.output);
  const std::optional<ScriptGraph> script = load_backend("reference").read_script(plan.module);
  if (!script) throw Error(Failure::internal, "the reference back end reads no TorchScript");
  console.stop_if_cancelled();
  const ImportedScript imported = import_script(*script, plan.inputs, plan.outputs);
  uint64_t bytes = 0;
  for (const ir::Value& value : imported.graph.values) {
    if (value.origin == ir::Origin::weight) bytes += value.weight->bytes();
  }
  output.require_space(bytes);
  std::vector<ImportInputs> inputs;
  MemoryPlan memory;
  if (plan.validates) {
    inputs = inputs_for(plan, imported);
    uint64_t activations = 0;
    for (const ImportInputs& one : inputs) activations = std::max(activations, one.set.activations);
    memory = require_memory({.weights = bytes, .file = bytes, .activations = activations});
  }
  const Progress progress = progress_on(console);
  ImportedFile told = written(plan, {imported.graph, plan.dtype, output.folder(), output.model_file()}, progress);
  told.folder = output.final_folder();
  report(told, console);
  console.stop_if_cancelled();
  std::optional<ExportValidation> found;
  if (plan.validates) {
    found = validated(plan, imported, output.folder() / output.model_file(), inputs, console);
    found->memory = memory;
    report(*found, console);
  } else {
    console.result()["validation"]["status"] = "skipped";
  }
  output.commit();
  const std::string file = (output.final_folder() / output.model_file()).string();
  console.result()["status"] = "ok";
  if (!found || found->passes()) {
    console.line(found
                     ? fmt::format("done: {} (validated, largest difference {:.1e})", file, found->largest_difference())
                     : fmt::format("done: {} (not validated)", file));
    return 0;
  }
  console.fail(static_cast<int>(Failure::differs), "differs",
               fmt::format("the file answers otherwise than the module (largest difference {:.3g})",
                           found->largest_difference()),
               "the file is kept for a look at it; where differences so large do not matter, pass a larger --atol");
  console.result()["status"] = "differs";
  return static_cast<int>(Failure::differs);
}

}  // namespace onnxport

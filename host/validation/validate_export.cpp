// SPDX-License-Identifier: Apache-2.0
#include "host/validation/validate_export.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/package/layout.hpp"
#include "core/validate/activations.hpp"
#include "core/validate/step_inputs.hpp"
#include "host/validation/cached_validation.hpp"
#include "host/validation/inputs.hpp"
#include "host/validation/rounded_twin.hpp"

namespace onnxport {
namespace {

/// The first step that departs in the first run that differs.
std::string departure_of(const OnnxConfig& config, const FileToValidate& written, const Comparison& comparison,
                         const ValidationReport& found, const Tolerance& tolerance) {
  const auto differs =
      std::find_if(found.runs.begin(), found.runs.end(), [](const ValidationRun& run) { return !run.passes; });
  const auto set = static_cast<size_t>(differs - found.runs.begin());
  return first_departure(config, *comparison.definition, {written.file, written.form}, comparison.inputs[set].inputs,
                         tolerance)
      .value_or("no single step; the differences of several add up");
}

/// What the other branch of a merged graph takes beside this one's inputs, with an empty past: the runtime wants a
/// value for it and must not read it.
void fill_other_branch(Tensors& inputs, const Description& other, const Tensors& of_other) {
  for (const InputSpec& spec : other.inputs) {
    if (inputs.contains(spec.name)) continue;
    const ir::Tensor& filler = of_other.at(spec.name);
    inputs.emplace(spec.name, spec.role == ONNXPORT_ROLE_STATE ? empty_state(spec, filler.shape.at(0)) : filler);
  }
}

std::vector<Comparison> comparisons_of(const ExportToValidate& exported, const GraphToExport& graph) {
  std::vector<Comparison> comparisons;
  for (const Definition* definition : graph.definitions) {
    Comparison comparison{
        definition, validation_inputs(exported.config, exported.model_config, exported.preprocessor, definition->part)};
    if (graph.definitions.size() > 1) {
      const bool cached = definition == graph.definitions[1];
      const Definition& other = *graph.definitions[cached ? 0 : 1];
      const auto of_other =
          validation_inputs(exported.config, exported.model_config, exported.preprocessor, other.part);
      for (size_t i = 0; i < comparison.inputs.size(); ++i) {
        Tensors& inputs = comparison.inputs[i].inputs;
        fill_other_branch(inputs, other.description, of_other[i].inputs);
        inputs.emplace(branch_input,
                       ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {cached ? uint8_t{1} : uint8_t{0}}));
        comparison.inputs[i].label += cached ? ", cached step" : ", first step";
      }
    }
    comparisons.push_back(std::move(comparison));
  }
  return comparisons;
}

/// What ONNX Runtime says against the files; empty where it runs them.
std::string refusal_of_runtime(const ExportToValidate& exported) {
  for (const GraphToExport& graph : exported.graphs) {
    try {
      load_backend("onnxruntime").load_file((exported.folder / graph.file).string());
    } catch (const Error& error) {
      return error.what();
    }
  }
  return {};
}

}  // namespace

bool ExportValidation::passes() const {
  const auto passed = [](const ValidationReport& found) { return found.passes(); };
  return (!cached_step || cached_step->passes) &&
         std::all_of(files.begin(), files.end(), [&](const FileValidation& file) {
           return std::all_of(file.comparisons.begin(), file.comparisons.end(), passed);
         });
}

double ExportValidation::largest_difference() const {
  double largest = 0;
  if (cached_step) largest = ValidationReport{.runs = {*cached_step}}.largest_difference();
  for (const FileValidation& file : files) {
    for (const ValidationReport& found : file.comparisons) largest = std::max(largest, found.largest_difference());
  }
  return largest;
}

std::vector<FileToValidate> files_to_validate(const ExportToValidate& exported) {
  std::vector<FileToValidate> files;
  for (const GraphToExport& graph : exported.graphs)
    files.push_back({exported.folder / graph.file, exported.form, comparisons_of(exported, graph)});
  return files;
}

uint64_t activations_of(const std::vector<FileToValidate>& files) {
  uint64_t most = 0;
  for (const FileToValidate& file : files) {
    for (const Comparison& comparison : file.comparisons) {
      for (const ValidationInputs& set : comparison.inputs)
        most = std::max(most, activation_bytes(comparison.definition->graph, set.inputs));
    }
  }
  return most;
}

FileValidation validate_file(const OnnxConfig* config, const FileToValidate& written, const Tolerance& tolerance,
                             const Progress& progress) {
  if (progress.report) progress.report("validating", 0, 0);
  check_model_file(written.file);
  progress.stop_if_cancelled();
  // Neither library is loaded before the file has passed the checker.
  FileValidation found;
  found.file = written.file.filename().string();
  if (written.comparisons.at(0).definition != nullptr) found.reference = load_backend("reference").version();
  progress.stop_if_cancelled();
  Backend& runtime = load_backend("onnxruntime");
  found.runtime = runtime.version();
  const std::unique_ptr<Runnable> onnx = runtime.load_file(written.file.string());
  for (const Comparison& comparison : written.comparisons) {
    std::unique_ptr<Runnable> reference;
    if (comparison.definition != nullptr)
      reference = load_backend("reference").load_graph(comparison.definition->graph);
    ValidationReport report = validate_model_outputs(reference.get(), *onnx, comparison.inputs, tolerance,
                                                     [&](const ValidationRun&) { progress.stop_if_cancelled(); });
    if (!report.passes() && comparison.definition != nullptr) {
      progress.stop_if_cancelled();
      report.first_departure = departure_of(*config, written, comparison, report, tolerance);
    }
    found.comparisons.push_back(std::move(report));
  }
  return found;
}

ExportValidation validate_export(const ExportToValidate& exported, const std::vector<FileToValidate>& files,
                                 const Tolerance& tolerance, const Progress& progress) {
  if (exported.form.dtype == ir::DType::bf16) {
    if (progress.report) progress.report("validating", 0, 0);
    for (const GraphToExport& graph : exported.graphs) check_model_file(exported.folder / graph.file);
    if (std::string refusal = refusal_of_runtime(exported); !refusal.empty()) {
      const RoundedTwin twin(exported, progress.cancel);
      ExportValidation found =
          validate_export(twin.exported(), files_to_validate(twin.exported()), tolerance, progress);
      found.substitute = {load_backend("onnxruntime").version(), std::move(refusal)};
      return found;
    }
  }
  ExportValidation found{.tolerance = tolerance};
  for (const FileToValidate& file : files)
    found.files.push_back(validate_file(&exported.config, file, tolerance, progress));
  CachedStepCheck check = validate_cached_step(exported, tolerance);
  found.cached_step = std::move(check.run);
  found.takes_one_token = check.takes_one_token;
  if (!found.cached_step && !found.takes_one_token && exported.config.with_past())
    found.cache_unknown_to = exported.config.plugin_id();
  return found;
}

}  // namespace onnxport

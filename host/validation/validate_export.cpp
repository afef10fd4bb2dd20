// SPDX-License-Identifier: Apache-2.0
#include "host/validation/validate_export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "core/activity.hpp"
#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/on_demand.hpp"
#include "core/out_of_memory.hpp"
#include "core/package/layout.hpp"
#include "core/validate/activations.hpp"
#include "core/validate/file_inputs.hpp"
#include "core/validate/light_model.hpp"
#include "core/validate/padding.hpp"
#include "core/validate/step_inputs.hpp"
#include "host/process/memory.hpp"
#include "host/validation/cached_validation.hpp"
#include "host/validation/foreign_steps.hpp"
#include "host/validation/inputs.hpp"
#include "host/validation/rounded_twin.hpp"
#include "host/validation/segmented.hpp"

namespace onnxport {
namespace {

/// Why steps are not looked at of which all together take so many bytes; empty: they may be.
std::string too_little_for_steps(uint64_t all) {
  // Each side keeps every step, and one of them a second time while they are copied.
  const uint64_t needed = 3 * all;
  const AvailableMemory available = available_memory();
  if (needed <= available.bytes) return {};
  return fmt::format("not looked for: all steps together take about {} of memory, and {} leaves {}",
                     format_bytes(needed), available.limited_by, format_bytes(available.bytes));
}

/// Tells of a run step by step: of the first one that differs, where it begins and how it grows; of the first of all,
/// where steps are asked for and all runs pass.
void add_steps(const ExportToValidate& exported, const FileToValidate& written, const Comparison& comparison,
               const Tolerance& tolerance, ValidationReport& found) {
  auto run = std::find_if(found.runs.begin(), found.runs.end(),
                          [](const ValidationRun& one) { return !one.passes && one.problem.empty(); });
  const bool differs = run != found.runs.end();
  if (!differs && !exported.traces_values) return;
  if (!differs)
    run = std::find_if(found.runs.begin(), found.runs.end(), [](const ValidationRun& one) { return one.passes; });
  if (run == found.runs.end()) return;
  Tensors inputs = comparison.inputs[static_cast<size_t>(run - found.runs.begin())].inputs;
  inputs.erase(kept_logits_input);  // all of them have what every step yields
  const std::string told = too_little_for_steps(result_bytes(comparison.definition->graph, inputs));
  if (!told.empty()) {
    if (differs)
      found.first_departure = told;
    else
      found.not_compared.push_back("step by step: " + told);
    return;
  }
  std::vector<StepDifference> steps =
      compare_steps(exported.config, *comparison.definition, {written.file, written.form}, inputs, tolerance);
  const StepDifference* first = first_departure(steps);
  if (differs) found.first_departure = first ? describe(*first) : "no single step; the differences of several add up";
  if (exported.traces_values) {
    found.steps = std::move(steps);
  } else {
    for (const StepDifference* step : growth(steps)) found.steps.push_back(*step);
  }
}

/// Tells of a run of a file of another exporter that differs where it begins; of one without padding, if there is one,
/// since what stands at padded places may differ without being wrong.
void add_foreign_departure(const FileToValidate& written, const Comparison& comparison, const Tolerance& tolerance,
                           ValidationReport& found) {
  const ValidationInputs* chosen = nullptr;
  for (size_t i = 0; i < found.runs.size(); ++i) {
    const ValidationRun& run = found.runs[i];
    const bool is_padded = run.label.find("padded") != std::string::npos;
    if (run.passes || !run.problem.empty() || (chosen != nullptr && is_padded)) continue;
    chosen = &comparison.inputs[i];
    found.departure_run = run.label;
    if (!is_padded) break;
  }
  if (chosen == nullptr) return;
  Tensors inputs = chosen->inputs;
  inputs.erase(kept_logits_input);
  const std::string told = too_little_for_steps(result_bytes(comparison.definition->graph, inputs));
  found.first_departure =
      told.empty() ? first_departure({written.file, *comparison.definition, written.behind_names, inputs, tolerance})
                   : told;
}

/// Before they are made: a size in config.json, or an image of that size, may be larger than any memory. What is small
/// is no reason by itself, and what all of it takes is told later.
void require_room(const Description& description, const std::vector<InputSet>& sets) {
  double bytes = 0;
  for (const InputSet& set : sets) {
    for (const InputSpec& input : description.inputs) bytes += static_cast<double>(tensor_bytes(input.type, set.sizes));
  }
  constexpr double small = 16 << 20;
  const AvailableMemory available = available_memory();
  if (bytes <= std::max(small, static_cast<double>(available.bytes))) return;
  const std::string told = fmt::format("the inputs of validation alone take about {} of memory, and {} leaves {}",
                                       format_bytes(static_cast<uint64_t>(std::min(bytes, 1e18))), available.limited_by,
                                       format_bytes(available.bytes));
  // No checkpoint's sizes, but those that a plugin states.
  if (!foreign_plugin().empty()) throw OutOfMemory(told);
  throw Error(Failure::usage, told, memory_hint);
}

/// What the other branch of a merged graph takes, with an empty past: the runtime wants it and must not read it.
void fill_other_branch(Tensors& inputs, const Description& other, const Tensors& of_other) {
  for (const InputSpec& spec : other.inputs) {
    if (inputs.contains(spec.name)) continue;
    const ir::Tensor& filler = of_other.at(spec.name);
    inputs.emplace(spec.name, spec.role == ONNXPORT_ROLE_STATE ? empty_state(spec, filler.shape.at(0)) : filler);
  }
}

/// The input that says which branch of a merged graph runs.
ir::Tensor branch_flag(bool is_cached) {
  return ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {is_cached ? uint8_t{1} : uint8_t{0}});
}

/// Of how many last rows a set wants the logits, by its place: one, two, all.
void add_kept_logits(ValidationInputs& set, size_t place) {
  const auto kept = static_cast<int64_t>((place + 1) % 3);
  set.inputs.emplace(kept_logits_input, ir::Tensor::i64_scalar(kept));
  set.label += kept == 0 ? ", all logits" : fmt::format(", the last {} logits", kept);
}

InputsOf inputs_for(const ExportToValidate& exported, const Definition& definition) {
  return {exported.config, exported.model_config,      exported.preprocessor,
          definition.part, exported.form.inputs.fixed, exported.form.inputs.max_sequence};
}

/// The graph that holds the definition.
const GraphToExport& graph_of(const ExportToValidate& exported, const Definition& definition) {
  return *std::find_if(exported.graphs.begin(), exported.graphs.end(), [&](const GraphToExport& graph) {
    return std::find(graph.definitions.begin(), graph.definitions.end(), &definition) != graph.definitions.end();
  });
}

/// The sets of calibration for the definition, as its graph takes them.
std::vector<ValidationInputs> calibration_of(const ExportToValidate& exported, const GraphToExport& graph,
                                             const Definition& definition) {
  const auto found = exported.calibration.find(&definition);
  if (found == exported.calibration.end()) return {};
  std::vector<ValidationInputs> sets = found->second;
  if (graph.definitions.size() == 1) return sets;
  const bool is_cached = &definition == graph.definitions[1];
  const Definition& other = *graph.definitions[is_cached ? 0 : 1];
  for (ValidationInputs& set : sets) {
    fill_other_branch(set.inputs, other.description, exported.calibration.at(&other).at(0).inputs);
    set.inputs.emplace(branch_input, branch_flag(is_cached));
  }
  return sets;
}

std::vector<Comparison> comparisons_of(const ExportToValidate& exported, const GraphToExport& graph) {
  std::vector<Comparison> comparisons;
  for (const Definition* definition : graph.definitions) {
    Comparison comparison{definition, {}, input_sets(inputs_for(exported, *definition), exported.budget)};
    require_room(definition->description, comparison.sets);
    const bool keeps_logits = exported.form.inputs.kept_logits && !logits_of(definition->description).empty();
    for (const InputSet& set : comparison.sets) {
      ValidationInputs& inputs = comparison.inputs.emplace_back();
      inputs.label = set.label;
      if (graph.definitions.size() > 1)
        inputs.label += definition == graph.definitions[1] ? ", cached step" : ", first step";
      inputs.inputs = complete_inputs(exported, *definition, set);
      inputs.activations = activation_bytes(definition->graph, inputs.inputs);
      if (keeps_logits) add_kept_logits(inputs, comparison.inputs.size() - 1);
    }
    for (ValidationInputs& set : calibration_of(exported, graph, *definition)) {
      comparison.inputs.push_back(std::move(set));
      if (keeps_logits) add_kept_logits(comparison.inputs.back(), comparison.inputs.size() - 1);
    }
    comparisons.push_back(std::move(comparison));
  }
  return comparisons;
}

/// What the other branch of a merged graph takes beside what was recorded of this one.
void complete_cases(const ExportToValidate& exported, const Comparison& comparison, std::vector<RecordedCase>& cases) {
  const GraphToExport& graph = graph_of(exported, *comparison.definition);
  if (graph.definitions.size() == 1) return;
  const bool is_cached = comparison.definition == graph.definitions[1];
  const Definition& other = *graph.definitions[is_cached ? 0 : 1];
  for (RecordedCase& one : cases) {
    fill_other_branch(one.recorded.inputs, other.description,
                      inputs_of(inputs_for(exported, other), comparison.sets.at(0)));
    one.recorded.inputs.emplace(branch_input, branch_flag(is_cached));
  }
}

/// What was found on a set of inputs of one comparison.
using Judge = std::function<ValidationRun(const Tensors&)>;

/// The axis for which the first run that failed for its shape did so: the one that cannot be as long as it was there
/// where all others are as long as in a run that passed. nullopt where there are no such runs.
std::optional<std::string> frozen_axis(const ExportToValidate& exported, const Comparison& comparison,
                                       const ValidationReport& found, const Judge& judge) {
  // Inputs that came otherwise have no axes to be varied.
  const auto end =
      found.runs.begin() + static_cast<std::ptrdiff_t>(std::min(comparison.sets.size(), found.runs.size()));
  const auto at = [&](auto is) {
    const auto run = std::find_if(found.runs.begin(), end, is);
    return static_cast<size_t>((run == end ? found.runs.end() : run) - found.runs.begin());
  };
  const size_t failed = at([](const ValidationRun& run) { return run.fails_for_shape(); });
  const size_t passed = at([](const ValidationRun& run) { return run.passes; });
  if (failed == found.runs.size() || passed == found.runs.size()) return std::nullopt;
  const InputSet &bad = comparison.sets[failed], &good = comparison.sets[passed];
  for (const auto& [symbol, length] : good.sizes) {
    if (bad.sizes.at(symbol) == length) continue;
    const ValidationRun run = judge(complete_inputs(exported, *comparison.definition, with_axis_of(good, bad, symbol)));
    if (!run.fails_for_shape()) continue;
    return fmt::format("'{}': {} is right, {} is not: {}", symbol, length, bad.sizes.at(symbol), run.shape_problem());
  }
  return fmt::format("several together; {} is right, and {} is not: {}", found.runs[passed].label,
                     found.runs[failed].label, found.runs[failed].shape_problem());
}

/// One segment after the other is in memory, of the file and of the definition.
ValidationReport compare_in_segments(const ExportToValidate& exported, const FileToValidate& written,
                                     const Comparison& comparison, const Tolerance& tolerance,
                                     const Progress& progress) {
  const SegmentedExport cut(exported, written.file, *comparison.definition);
  const auto pass = [&](uint64_t done, uint64_t all) {
    progress.stop_if_cancelled();
    if (progress.report) progress.report("validating", done, all);
  };
  const auto validated = [&](const std::vector<ValidationInputs>& inputs, bool traces_values) {
    return validate_in_segments(cut.model(), {inputs, tolerance, traces_values, pass, too_little_for_steps});
  };
  ValidationReport report = validated(comparison.inputs, exported.traces_values);
  if (report.passes()) return report;
  report.frozen_axis = frozen_axis(exported, comparison, report, [&](const Tensors& inputs) -> ValidationRun {
    try {
      return validated({{"", inputs, std::nullopt}}, false).runs[0];
    } catch (const Error& error) {
      return {{}, {}, false, error.what()};
    }
  });
  return report;
}

/// What ONNX Runtime says against the files; empty where it runs them.
std::string refusal_of_runtime(const ExportToValidate& exported) {
  for (const GraphToExport& graph : exported.graphs) {
    try {
      ModelImage image = image_of(inspect::read_onnx_file(exported.folder / graph.file));
      image.is_optimised = exported.memory.makes_copies && !exported.memory.segment_weights;
      load_backend("onnxruntime").load_image(image);
    } catch (const Error& error) {
      return error.what();
    }
  }
  return {};
}

}  // namespace

Tensors complete_inputs(const ExportToValidate& exported, const Definition& definition, const InputSet& set) {
  const GraphToExport& graph = graph_of(exported, definition);
  Tensors inputs = inputs_of(inputs_for(exported, definition), set);
  if (graph.definitions.size() == 1) return inputs;
  const bool is_cached = &definition == graph.definitions[1];
  const Definition& other = *graph.definitions[is_cached ? 0 : 1];
  fill_other_branch(inputs, other.description, inputs_of(inputs_for(exported, other), set));
  inputs.emplace(branch_input, branch_flag(is_cached));
  return inputs;
}

ScriptJudges judges_of(const std::vector<ScriptReference>& references, const ExportToValidate& exported) {
  if (references.empty()) return {};
  if (exported.memory.segment_weights)
    throw Error(Failure::usage, "--reference runs the original as a whole, and the model is validated in segments",
                "leave one of the two out; a larger --max-memory may hold the model as a whole");
  return script_judges(references, exported.graphs);
}

RecordedCases cases_of(const std::vector<std::filesystem::path>& files, const ExportToValidate& exported) {
  return files.empty() ? RecordedCases() : recorded_cases(files, {exported.graphs, exported.form.inputs});
}

bool has_16_bit_weights(const GraphForm& form) {
  return form.dtype != ir::DType::f32 || form.weights_as_stored;
}

void ExportValidation::add(ExportValidation other) {
  for (FileValidation& file : other.files) files.push_back(std::move(file));
  if (other.cached_step && (!cached_step || cached_step->passes)) cached_step = std::move(other.cached_step);
  if (!substitute) substitute = std::move(other.substitute);
}

bool ExportValidation::passes() const {
  const auto passed = [](const ValidationReport& found) { return found.passes(); };
  return overflows.empty() && (!cached_step || cached_step->passes) &&
         std::all_of(files.begin(), files.end(), [&](const FileValidation& file) {
           return std::all_of(file.comparisons.begin(), file.comparisons.end(), passed);
         });
}

bool ExportValidation::differs_from_original_alone() const {
  bool differs = false;
  for (const FileValidation& file : files) {
    for (const ValidationReport& report : file.comparisons) {
      if (report.passes()) continue;
      if (report.judge.empty()) return false;
      differs = true;
    }
  }
  return differs && overflows.empty() && (!cached_step || cached_step->passes);
}

std::vector<const ValidationRun*> ExportValidation::runs() const {
  std::vector<const ValidationRun*> all;
  for (const FileValidation& file : files) {
    for (const ValidationReport& report : file.comparisons) {
      for (const ValidationRun& run : report.runs) all.push_back(&run);
    }
  }
  if (cached_step) all.push_back(&*cached_step);
  return all;
}

bool ExportValidation::is_finite() const {
  for (const ValidationRun* run : runs()) {
    for (const Difference& difference : run->differences) {
      if (!difference.finite) return false;
    }
  }
  return true;
}

double ExportValidation::largest_difference() const {
  double largest = 0;
  for (const ValidationRun* run : runs()) {
    for (const Difference& difference : run->differences) largest = std::max(largest, difference.max_abs);
  }
  return largest;
}

std::string ExportValidation::problem() const {
  for (const ValidationRun* run : runs()) {
    for (const Difference& difference : run->differences) {
      if (!difference.passes && !difference.problem.empty())
        return fmt::format("the output '{}' {}", difference.output, difference.problem);
    }
    if (!run->problem.empty()) return run->problem;
  }
  return {};
}

std::vector<FileToValidate> files_to_validate(const ExportToValidate& exported) {
  std::vector<FileToValidate> files;
  for (const GraphToExport& graph : exported.graphs)
    files.push_back({exported.folder / graph.file, exported.form, comparisons_of(exported, graph), exported.kernels});
  return files;
}

uint64_t activations_of(const std::vector<FileToValidate>& files) {
  uint64_t most = 0;
  for (const FileToValidate& file : files) {
    for (const Comparison& comparison : file.comparisons) {
      uint64_t all = 0;
      for (const ValidationInputs& set : comparison.inputs) {
        most = std::max(most, set.activations);
        all += set.activations;
      }
      most = std::max(most, std::min(all, together_bytes));
    }
  }
  return most;
}

FileValidation validate_file(const ExportToValidate* exported, const FileToValidate& written,
                             const Tolerance& tolerance, const Progress& progress) {
  if (progress.report) progress.report("validating", 0, 0);
  const inspect::OnnxFile file = inspect::read_onnx_file(written.file);
  check_model_file(file);
  progress.stop_if_cancelled();
  FileValidation found;
  found.file = written.file.filename().string();
  Backend& runtime = load_backend("onnxruntime");
  found.runtime = runtime.version();
  if (!written.kernels.empty()) {
    pass_library_gate("kernels", written.kernels);
    runtime.use_custom_operators(std::filesystem::absolute(written.kernels).string());
  }
  if (exported != nullptr && exported->memory.segment_weights && !written.behind_names) {
    for (const Comparison& comparison : written.comparisons) {
      found.comparisons.push_back(compare_in_segments(*exported, written, comparison, tolerance, progress));
      const auto recorded = exported->cases.find(comparison.definition);
      if (recorded == exported->cases.end()) continue;
      const auto file_in_segments = segmented_runnable(*exported, written.file, *comparison.definition);
      found.comparisons.push_back(
          judge_by_cases(recorded->second, *file_in_segments, *comparison.definition, tolerance));
    }
    found.reference = load_backend("reference").version();
    return found;
  }
  ModelImage image = image_of(file);
  image.is_optimised = exported == nullptr || exported->memory.makes_copies;
  // A graph with buffers is of one definition.
  const Definition* definition = written.comparisons.empty() ? nullptr : written.comparisons[0].definition;
  const std::unique_ptr<Runnable> onnx =
      as_defined(runtime.load_image(image), written.form.inputs,
                 definition ? growing_states(definition->description) : std::vector<GrowingState>{});
  for (const Comparison& comparison : written.comparisons) {
    std::unique_ptr<Runnable> renamed;
    if (written.behind_names) renamed = written.behind_names(*comparison.definition, *onnx);
    Runnable* judged = renamed ? renamed.get() : onnx.get();
    std::unique_ptr<Runnable> reference;
    if (comparison.definition != nullptr) {
      // Opening libtorch takes longer than all that the runtime does.
      reference = with_kept_logits(
          load_aside([&] { return load_backend("reference").load_graph(comparison.definition->graph); }),
          logits_of(comparison.definition->description));
    }
    // Where nothing is to be attended to, other exporters' masks make something else of it than ours: only what stands
    // at places that count is right or wrong. NaN stays, since it spreads.
    std::unique_ptr<Runnable> counting, reference_counting;
    Runnable* judge = reference.get();
    if (renamed) {
      counting = unpadded(*judged, *comparison.definition, NotFinite::kept);
      reference_counting = unpadded(*reference, *comparison.definition);
      judged = counting.get();
      judge = reference_counting.get();
    }
    ValidationReport report = validate_model_outputs(judge, *judged, comparison.inputs, tolerance,
                                                     [&](const ValidationRun&) { progress.stop_if_cancelled(); });
    if (!report.passes() && comparison.definition != nullptr) {
      progress.stop_if_cancelled();
      report.frozen_axis = frozen_axis(*exported, comparison, report, [&](const Tensors& inputs) -> ValidationRun {
        try {
          return validate_model_outputs(judge, *judged, {{"", inputs, std::nullopt}}, tolerance).runs[0];
        } catch (const Error& error) {
          return {{}, {}, false, error.what()};
        }
      });
    }
    progress.stop_if_cancelled();
    if (renamed)
      add_foreign_departure(written, comparison, tolerance, report);
    else if (comparison.definition != nullptr)
      add_steps(*exported, written, comparison, tolerance, report);
    found.comparisons.push_back(std::move(report));
    if (exported == nullptr) continue;
    if (const auto recorded = exported->cases.find(comparison.definition); recorded != exported->cases.end()) {
      std::vector<RecordedCase> cases = recorded->second;
      complete_cases(*exported, comparison, cases);
      // At places that do not count it holds anything, and so does the file.
      for (RecordedCase& one : cases) {
        if (renamed)
          one.recorded.expected =
              without_padding(std::move(*one.recorded.expected), *comparison.definition, one.recorded.inputs);
      }
      found.comparisons.push_back(judge_by_cases(cases, *judged, *comparison.definition, tolerance));
    }
    if (exported->scripts.empty()) continue;
    const auto script = exported->scripts.find(comparison.definition);
    if (script != exported->scripts.end())
      found.comparisons.push_back(script->second->judge(*judged, comparison.inputs, tolerance));
    else
      found.comparisons.back().not_compared.push_back(
          "with an original: none of those that are named takes its inputs");
  }
  if (written.comparisons.at(0).definition != nullptr) found.reference = load_backend("reference").version();
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
  ExportValidation found{.tolerance = tolerance, .memory = exported.memory, .overflows = exported.overflows};
  for (const FileToValidate& file : files) found.files.push_back(validate_file(&exported, file, tolerance, progress));
  CachedStepCheck check = validate_cached_step(exported, tolerance);
  found.cached_step = std::move(check.run);
  found.takes_one_token = check.takes_one_token;
  found.lengths_are_fixed = check.lengths_are_fixed;
  if (!found.cached_step && !found.takes_one_token && !found.lengths_are_fixed && exported.config.with_past())
    found.cache_unknown_to = exported.config.plugin_id();
  return found;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Validation as the commands run it: files against the definitions that they hold, or against recorded outputs. Yields
// what was found and prints nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "core/progress.hpp"
#include "core/validate/ranges.hpp"
#include "core/validate/validate.hpp"
#include "host/plan/choices.hpp"
#include "host/validation/inputs.hpp"
#include "host/validation/recorded_case.hpp"
#include "host/validation/requirements.hpp"
#include "host/validation/script_judge.hpp"

namespace onnxport {

/// One comparison: with a definition, or, where that is null, with recorded outputs.
struct Comparison {
  const Definition* definition = nullptr;
  std::vector<ValidationInputs> inputs;
  /// That the inputs were made from, in order; there are more inputs where some are recorded or of calibration.
  std::vector<InputSet> sets{};
};

/// A written file, what it was lowered with, and what it is compared with.
struct FileToValidate {
  std::filesystem::path file;
  GraphForm form;
  std::vector<Comparison> comparisons;
  std::filesystem::path kernels{};  // the library that has those of custom operators; empty: none
  /// Puts a file of another exporter behind the names of a definition; our own have them.
  std::function<std::unique_ptr<Runnable>(const Definition&, Runnable&)> behind_names{};
};

/// A layout's files, and what they were made from.
struct ExportToValidate {
  const OnnxConfig& config;
  const Json& model_config;
  const Preprocessor* preprocessor;
  const std::vector<GraphToExport>& graphs;
  WeightSource* weights;
  std::filesystem::path folder;
  GraphForm form;
  ValidationBudget budget = ValidationBudget::normal;
  bool traces_values = false;       // every step is listed, whether or not something differs
  std::filesystem::path kernels{};  // of operators of a plugin's own; empty: none
  MemoryPlan memory{};
  ScriptJudges scripts{};  // the original itself, beside the definitions
  RecordedCases cases{};   // what was recorded of it
  /// Further inputs, by the definitions of the graphs: as they are in use.
  std::map<const Definition*, std::vector<ValidationInputs>> calibration{};
  std::vector<ModuleRange> overflows{};  // that were measured on them
};

/// The originals that are to judge this export, whose memory is planned. Throws Error(usage) as script_judges() of its
/// graphs, and where the model is validated in segments.
ScriptJudges judges_of(const std::vector<ScriptReference>& references, const ExportToValidate& exported);

/// The recordings that are to judge it as well. Throws Error(checkpoint) as recorded_cases() of its graphs.
RecordedCases cases_of(const std::vector<std::filesystem::path>& files, const ExportToValidate& exported);

/// Whether a file of this form has weights in 16 bits, as far as its form tells.
bool has_16_bit_weights(const GraphForm& form);

/// What was found of one file. It has passed the ONNX checker, with full shape inference.
struct FileValidation {
  std::string file;
  std::string runtime;    // "ONNX Runtime 1.32.0"
  std::string reference;  // "libtorch 1.13.0"; empty: recorded outputs
  /// By comparison; one that differs tells the first step that departs.
  std::vector<ValidationReport> comparisons;
};

/// What was found of an export.
struct ExportValidation {
  Tolerance tolerance;
  std::vector<FileValidation> files;
  /// The cached step against the uncached run of the same tokens, where there is a cache.
  std::optional<ValidationRun> cached_step{};
  /// Whether that could not be done because a step takes one token and yields otherwise than several at once.
  bool takes_one_token = false;
  /// Or because the file takes one number of tokens only.
  bool lengths_are_fixed = false;
  /// The plugin that does not state what its cache consists of, so that this could not be done; else empty.
  std::string cache_unknown_to{};
  /// Files in a type that the runtime has no kernels for here are only checked, and what can be run is run in their
  /// place: the same definitions in f32 with their weights rounded to the type.
  struct Substitute {
    std::string runtime, refusal;
  };
  std::optional<Substitute> substitute{};
  MemoryPlan memory{};
  /// Modules of an export in f16 that compute beyond that type's range, whether or not the runtime here shows it.
  std::vector<ModuleRange> overflows{};

  /// Takes what was found of further graphs of the same export as well.
  void add(ExportValidation other);
  bool passes() const;
  /// Whether no output holds NaN or infinity.
  bool is_finite() const;
  double largest_difference() const;
  /// Whether a file differs from the original, recorded or run, and from nothing else.
  bool differs_from_original_alone() const;
  /// The first failure that is no number: an output that is missing, of another shape or type, or NaN or infinite on
  /// one side, in words; empty where there is none.
  std::string problem() const;

 private:
  /// Those of all files, and the cached step.
  std::vector<const ValidationRun*> runs() const;
};

/// The layout's files with the comparisons that validate_export() makes of them.
std::vector<FileToValidate> files_to_validate(const ExportToValidate& exported);

/// What the largest run of these comparisons computes beside the weights, in bytes.
uint64_t activations_of(const std::vector<FileToValidate>& files);

/// Checks the file and makes its comparisons. `exported` is null where these are with recorded outputs.
FileValidation validate_file(const ExportToValidate* exported, const FileToValidate& written,
                             const Tolerance& tolerance, const Progress& progress);

/// The inputs of a set for a definition of the file's graph: those of its part and, in a merged graph, what the other
/// branch takes beside them.
Tensors complete_inputs(const ExportToValidate& exported, const Definition& definition, const InputSet& set);

/// A layout's files against the definitions that they hold, and, where there is a cache, the cached step against the
/// uncached run of the same tokens.
ExportValidation validate_export(const ExportToValidate& exported, const std::vector<FileToValidate>& files,
                                 const Tolerance& tolerance, const Progress& progress);

}  // namespace onnxport

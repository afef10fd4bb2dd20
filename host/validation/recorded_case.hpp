// SPDX-License-Identifier: Apache-2.0
// Recordings of the original as judges of a file: whether one belongs to a model, and where a difference begins.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/export/defined_graphs.hpp"
#include "core/validate/validate.hpp"
#include "host/model/model_summary.hpp"

namespace onnxport {

/// Throws Error(checkpoint), listing everything at once, where the model cannot be run on a case file's inputs (one is
/// missing, of another type or shape, or none of the model's) or lacks an output that the file records. Yields the
/// outputs that the file does not record, which nothing compares.
std::vector<std::string> check_case(const ValidationInputs& recorded, const std::filesystem::path& file,
                                    const ModelSummary& model);

/// A recording, as the definition that it is of takes and yields it.
struct RecordedCase {
  ValidationInputs recorded;
  /// Further results of the original, by the paths of its modules or the names of the definition's steps: they tell
  /// where a difference begins.
  std::vector<ModuleResult> steps{};
  std::vector<std::string> unrecorded{};  // outputs of the model that it does not hold
};

/// By the definitions of an export's graphs: what was recorded of them.
using RecordedCases = std::map<const Definition*, std::vector<RecordedCase>>;

/// What cases are sorted by: the graphs, and which of their axes the file fixes.
struct CaseTakers {
  const std::vector<GraphToExport>& graphs;
  const InputForm& form;
};

/// Reads case files, each for the first graph that it fits: in/NAME and out/NAME, and of a case that was recorded with
/// modules module/PATH. Throws Error(checkpoint) for a file that fits none, as check_case().
RecordedCases recorded_cases(const std::vector<std::filesystem::path>& files, const CaseTakers& takers);

/// The file, as the definition takes and yields it, against what was recorded of that. Where they differ, the
/// definition is run by the reference to tell the first step that departs from those that were recorded.
ValidationReport judge_by_cases(const std::vector<RecordedCase>& cases, Runnable& onnx, const Definition& definition,
                                const Tolerance& tolerance);

/// The judge's name in a report.
inline constexpr const char* recorded_judge = "recorded outputs";

/// Where in a model a difference from what was recorded begins, as far as its numbered steps were recorded
/// (hidden_states.3, attentions.0): "it begins between hidden_states.2, which agrees, and hidden_states.3". Empty where
/// no step differs.
std::string where_it_begins(const std::vector<ValidationRun>& runs);

}  // namespace onnxport

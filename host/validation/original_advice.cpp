// SPDX-License-Identifier: Apache-2.0
#include "host/validation/original_advice.hpp"

#include "host/validation/recorded_case.hpp"

namespace onnxport {
namespace {

/// Where the difference begins, as far as steps were recorded; empty where none was.
std::string place_in(const ExportValidation& found) {
  for (const FileValidation& file : found.files) {
    for (const ValidationReport& report : file.comparisons) {
      if (report.passes()) continue;
      if (report.first_departure) return *report.first_departure;
      if (std::string place = where_it_begins(report.runs); !place.empty()) return place;
    }
  }
  return {};
}

/// Whether a module of the original that was run says otherwise.
bool is_by_scripts(const ExportValidation& found) {
  for (const FileValidation& file : found.files) {
    for (const ValidationReport& report : file.comparisons) {
      if (!report.passes() && !report.judge.empty() && report.judge != recorded_judge) return true;
    }
  }
  return false;
}

}  // namespace

std::string advice_on_original(const ExportValidation& found, const std::string& positions) {
  const bool is_other = !found.problem().empty(), is_run = is_by_scripts(found);
  if (is_other && found.is_finite() && !is_run)
    return "record the case again from the model that was exported, with `onnxport record`; where the original does "
           "say so, the definition is wrong";
  if (!is_other && positions == "mask") {
    return std::string("this file counts positions along the attention mask, as generate() does; where the ") +
           (is_run ? "original counts them as forward()" : "case was recorded from forward()") +
           " without being given any, export with --position-ids sequence, which is what that counts";
  }
  if (const std::string place = place_in(found); !place.empty())
    return place + ": compare the definition with the original there";
  if (is_run) return "the definition does something else than the original: compare the two";
  return std::string(
             "a recording of the original's modules (`record.py --modules`), or of its hidden_states, tells in "
             "which layer it begins, where the definition is at hand: `export --case` or `validate -m DIR "
             "--case`") +
         (is_other ? "" : "; where differences so large do not matter, pass a larger --atol");
}

}  // namespace onnxport

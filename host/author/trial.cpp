// SPDX-License-Identifier: Apache-2.0
#include "host/author/trial.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/files/whole_file.hpp"
#include "host/process/child.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// What is wrong with a run that did not end well.
std::string trouble(const ChildEnd& end, const Trial& trial) {
  if (end.timed_out) return fmt::format("did not come to its end in {} s and was stopped", trial.limit.count());
  if (const auto error = end.said.find("error"); end.said.is_object() && error != end.said.end())
    return error->value("message", "");
  return fmt::format("ended with status {}{}{}", end.status, end.errors.empty() ? "" : ": ", end.errors);
}

bool only_differs(const ChildEnd& end) {
  // A file that does not run has this exit status as well.
  return end.status == static_cast<int>(Failure::differs) && end.said.is_object() &&
         end.said.value("status", "") == "differs";
}

Words with(Words words, const Trial& trial) {
  words.insert(words.end(), trial.plugin_words.begin(), trial.plugin_words.end());
  return words;
}

ChildEnd draw(const Trial& trial, const fs::path& to) {
  const Sample& sample = trial.sample;
  return run_command_again(
      with({"synth", sample.config.string(), to.string(), "--seed", std::to_string(sample.draw.seed), "--form",
            std::to_string(sample.draw.form), "--dtype", sample.dtype, "--feature",
            sample.drawn_for.empty() ? trial.feature : sample.drawn_for},
           trial),
      trial.limit);
}

Words exporting(const Trial& trial, const fs::path& checkpoint, const fs::path& to, int64_t opset) {
  Words words{"export",      "-m",      checkpoint.string(),   "--feature",
              trial.feature, "--opset", std::to_string(opset), to.string()};
  if (!trial.sample.outputs.empty())
    words.insert(words.end(), {"--outputs", fmt::format("{}", fmt::join(trial.sample.outputs, ","))});
  return with(std::move(words), trial);
}

/// "batch 3, sequence 11, padded" -> batch: 3, sequence: 11.
void take_sizes(const std::string& label, std::map<std::string, std::set<std::string>>& sizes) {
  for (size_t at = 0; at < label.size();) {
    const size_t end = std::min(label.find(", ", at), label.size());
    const std::string part = label.substr(at, end - at);
    const size_t blank = part.rfind(' ');
    if (blank != std::string::npos && std::isdigit(static_cast<unsigned char>(part[blank + 1])))
      sizes[part.substr(0, blank)].insert(part.substr(blank + 1));
    at = end + 2;
  }
}

/// The export that validates itself: the checker, and ONNX Runtime against libtorch at several shapes.
Finding validated(const ChildEnd& end, const Trial& trial) {
  if (end.status != 0) return {"validated", false, trouble(end, trial)};
  std::map<std::string, std::set<std::string>> sizes;
  const Json& validation = end.said.at("validation");
  for (const Json& run : validation.at("runs")) take_sizes(run.at("label"), sizes);
  std::vector<std::string> shapes;
  for (const auto& [axis, lengths] : sizes) shapes.push_back(fmt::format("{} {}", axis, fmt::join(lengths, "/")));
  return {"validated", true,
          fmt::format("{} runs, largest difference {:.1e}, {}", validation.at("runs").size(),
                      validation.at("largest_difference").get<double>(), fmt::join(shapes, ", "))};
}

/// Axes of the file's inputs; of the first one nothing may be fixed that a batch is.
Finding open_axes(const fs::path& folder, const Trial& trial) {
  const ChildEnd end = run_command_again({"inspect", (folder / "model.onnx").string()}, trial.limit);
  if (end.status != 0) return {"axes", false, trouble(end, trial)};
  std::set<std::string> open;
  for (const Json& input : end.said.at("inputs")) {
    const std::string type = input.at("type");
    const size_t bracket = type.find('[');
    if (bracket == std::string::npos) continue;
    const std::string axes = type.substr(bracket + 1, type.size() - bracket - 2);
    for (size_t at = 0; at < axes.size();) {
      const size_t comma = std::min(axes.find(", ", at), axes.size());
      if (std::isdigit(static_cast<unsigned char>(axes[at])) == 0) open.insert(axes.substr(at, comma - at));
      at = comma + 2;
    }
  }
  if (open.empty())
    return {"axes", false, "no axis of any input is open, so that the file takes one size of batch only"};
  return {"axes", true, fmt::format("open: {}", fmt::join(open, ", "))};
}

Finding same_bytes(const Trial& trial, Words words, const fs::path& first, bool differs) {
  const fs::path again = trial.scratch / "again";
  *std::find(words.begin(), words.end(), first.string()) = again.string();
  // A file that was found to differ says so in its metadata, and so must the second one.
  if (!differs) words.emplace_back("--no-validate");
  const ChildEnd end = run_command_again(words, trial.limit);
  if (end.status != 0 && !(differs && only_differs(end))) return {"same bytes twice", false, trouble(end, trial)};
  const bool same = read_whole(first / "model.onnx") == read_whole(again / "model.onnx");
  std::error_code ignored;
  fs::remove_all(again, ignored);
  return {"same bytes twice", same,
          same ? "" : "two exports of one checkpoint differ; does the definition depend on time, addresses or chance?"};
}

Finding all_used(const ChildEnd& end) {
  const Json idle = end.said.value("idle_weights", Json::array());
  if (idle.empty()) return {"all weights used", true, ""};
  return {"all weights used", false,
          fmt::format("asked for, and nothing that is put out depends on them: {}",
                      fmt::join(idle.get<std::vector<std::string>>(), ", "))};
}

Finding as_recorded(const Trial& trial, const fs::path& folder, const fs::path& recorded, bool& differs) {
  const ChildEnd end = run_command_again(
      {"validate", folder.string(), "--case", recorded.string(), "--atol", fmt::format("{}", trial.sample.atol)},
      trial.limit);
  differs = only_differs(end);
  const std::string what = "as recorded in " + recorded.filename().string();
  const Json none = Json::object();
  const Json& validation = end.said.is_object() ? end.said.value("validation", none) : none;
  if (end.status != 0 && (!differs || validation.empty())) return {what, false, trouble(end, trial)};
  std::string text = fmt::format("largest difference {:.1e}", validation.at("largest_difference").get<double>());
  if (differs) text += fmt::format(", {}", end.said.at("error").value("hint", ""));
  return {what, end.status == 0, text};
}

TrialResult result_of(const Trial& trial, int64_t opset) {
  return {trial.sample.model_type, trial.feature, trial.sample.config.string(), opset, {}, true};
}

TrialResult at_opset(const Trial& trial, const fs::path& checkpoint, int64_t opset) {
  TrialResult result = result_of(trial, opset);
  const auto add = [&](Finding finding, bool is_difference = false) {
    if (!finding.passes && !is_difference) result.differs_only = false;
    result.findings.push_back(std::move(finding));
  };
  const fs::path folder = trial.scratch / fmt::format("opset-{}", opset);
  const Words words = exporting(trial, checkpoint, folder, opset);
  const ChildEnd exported = run_command_again(words, trial.limit);
  const bool differs = only_differs(exported);
  add(validated(exported, trial), differs);
  if (exported.status != 0 && !differs) return result;
  add(open_axes(folder, trial));
  add(same_bytes(trial, words, folder, differs));
  add(all_used(exported));
  // What was recorded counts positions as the original's forward() does, which is given none.
  fs::path compared = folder;
  const bool chooses = exported.said.contains("position_ids");
  if (chooses && !trial.sample.cases.empty()) {
    compared = trial.scratch / fmt::format("sequence-{}", opset);
    Words counted = exporting(trial, checkpoint, compared, opset);
    counted.insert(counted.end(), {"--position-ids", "sequence", "--no-validate"});
    run_command_again(counted, trial.limit);
  }
  for (const fs::path& recorded : trial.sample.cases) {
    bool is_difference = false;
    Finding finding = as_recorded(trial, compared, recorded, is_difference);
    add(std::move(finding), is_difference);
  }
  return result;
}

}  // namespace

bool TrialResult::passes() const {
  return std::all_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.passes; });
}

std::vector<TrialResult> try_out(const Trial& trial) {
  const fs::path drawn = trial.scratch / "drawn";
  const ChildEnd end = draw(trial, drawn);
  if (end.status != 0) {
    TrialResult failed = result_of(trial, 0);
    failed.findings.push_back({"synthesised", false, trouble(end, trial)});
    failed.differs_only = false;
    return {failed};
  }
  const fs::path checkpoint = trial.sample.checkpoint.value_or(drawn);
  const Json& opsets = end.said.at("opsets");
  std::set<int64_t> tried{opsets.at(0).get<int64_t>(), opsets.at(1).get<int64_t>()};
  std::vector<TrialResult> results;
  for (const int64_t opset : tried) results.push_back(at_opset(trial, checkpoint, opset));
  std::error_code ignored;
  fs::remove_all(trial.scratch, ignored);
  return results;
}

}  // namespace onnxport

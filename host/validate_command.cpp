// SPDX-License-Identifier: Apache-2.0
// onnxport validate: a model that was exported before, against its checkpoint or recorded outputs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/split_list.hpp"
#include "core/validate/file_inputs.hpp"
#include "host/commands.hpp"
#include "host/export/write_export.hpp"
#include "host/model/finished_files.hpp"
#include "host/model/model_source.hpp"
#include "host/model/model_summary.hpp"
#include "host/model/selection.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/export_plan.hpp"
#include "host/plan/input_plan.hpp"
#include "host/plan/validate_plan.hpp"
#include "host/process/memory.hpp"
#include "host/report/chosen_model.hpp"
#include "host/report/json.hpp"
#include "host/report/report.hpp"
#include "host/validate_foreign.hpp"
#include "host/validation/changed_inputs.hpp"
#include "host/validation/opening.hpp"
#include "host/validation/original_advice.hpp"
#include "host/validation/range_check.hpp"
#include "host/validation/recorded_case.hpp"
#include "host/validation/requirements.hpp"
#include "host/validation/segmented.hpp"
#include "host/validation/tolerance.hpp"
#include "host/validation/validate_export.hpp"
#include "registry/backend_trust.hpp"
#include "registry/file_safety.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The tolerance of recorded outputs where no model is there to name its own.
constexpr double case_atol = 1e-4;

/// The type of the model that the file says it was exported from, which it says with the feature or not at all.
std::string model_type_of(const ModelSummary& summary, const fs::path& file) {
  for (const char* key : {"onnxport.feature", "onnxport.model_type"}) {
    if (summary.metadata.contains(key)) continue;
    throw Error(Failure::checkpoint,
                fmt::format("{} does not say what it was exported from (no metadata '{}')", file.string(), key),
                "compare it with recorded outputs instead: --case FILE.safetensors");
  }
  return summary.metadata.at("onnxport.model_type");
}

/// The modules in f32 that a file in 16 bits says it has: those that were asked for, and those that were measured.
KeptModules kept_by(const std::string& asked, const std::string& measured) {
  std::vector<std::string> words = split_list(asked);
  std::erase(words, keep_range_word);
  KeptModules kept = kept_modules_of(words);
  kept.add(kept_modules_of(split_list(measured)));
  return kept;
}

/// What the export wrote down of how its graphs came about.
GraphForm form_of(const ModelSummary& summary) {
  const auto entry = [&](const char* key) {
    const auto found = summary.metadata.find(key);
    return found == summary.metadata.end() ? std::string() : found->second;
  };
  return {.opset = summary.opset(),
          .dtype = value_of(dtype_choices, entry("onnxport.dtype")),
          .weights_as_stored = entry("onnxport.weights") == "link",
          .inputs = input_form_of(summary.metadata),
          .keep_in_fp32 = kept_by(entry(kept_metadata), entry(measured_metadata))};
}

ExportValidation validate_cases(const ValidatePlan& plan, const fs::path& file, const ModelSummary& summary,
                                Console& console) {
  require_backends(false);
  Comparison recorded;
  for (const fs::path& path : plan.cases) {
    recorded.inputs.push_back(read_case(path));
    recorded.inputs.back().inputs =
        as_file_takes(std::move(recorded.inputs.back().inputs), input_form_of(summary.metadata));
    const std::vector<std::string> unrecorded = check_case(recorded.inputs.back(), path, summary);
    if (unrecorded.empty()) continue;
    console.note(fmt::format("{} does not record these outputs, which are not compared: {}", path.string(),
                             fmt::join(unrecorded, ", ")));
  }
  const GraphForm form = form_of(summary);
  const Tolerance tolerance = tolerance_for(case_atol, form.dtype, plan.atol);
  const FileToValidate written{file, form, {recorded}, plan.custom_ops};
  return {.tolerance = tolerance, .files = {validate_file(nullptr, written, tolerance, progress_on(console))}};
}

/// What the files of an export say of it.
struct Exported {
  std::vector<fs::path> files;
  std::vector<ModelSummary> summaries;

  std::string metadata(const std::string& key, const std::string& otherwise) const {
    const auto found = summaries[0].metadata.find(key);
    return found == summaries[0].metadata.end() ? otherwise : found->second;
  }
};

/// Takes from the files of a folder the graphs that included packages have of their own, by package.
std::map<std::string, Exported> own_graphs_in(Exported& exported) {
  std::map<std::string, Exported> groups;
  for (size_t i = 0; i < exported.files.size(); ++i) {
    const auto package = exported.summaries[i].metadata.find(own_graphs_metadata);
    Exported& group = groups[package == exported.summaries[i].metadata.end() ? "" : package->second];
    group.files.push_back(exported.files[i]);
    group.summaries.push_back(exported.summaries[i]);
  }
  if (!groups.contains("")) return {};
  exported = std::move(groups[""]);
  groups.erase("");
  return groups;
}

ExportValidation validate_model(const ValidatePlan& plan, const Exported& exported, Console& console) {
  const fs::path& file = exported.files[0];
  const std::string model_type = model_type_of(exported.summaries[0], file);
  ModelSource model(*plan.model, progress_on(console));
  if (const auto fetched = model.fetch_weights()) report(*fetched, console);
  const Checkpoint checkpoint = Checkpoint::open(model.folder());
  for (const std::string& note : checkpoint.notes()) console.note(note);
  Wanted wanted = wanted_for(exported.summaries[0], plan.plugin);
  const auto selected = [&] {
    return select(plan.plugins, checkpoint.config(), checkpoint.folder() / "config.json", wanted, console);
  };
  Selection selection = selected();
  // A file that does not say how it counts positions is from before there were two defaults, and counts in sequence.
  if (!wanted.options.contains("position_ids") && selection.onnx_config->description().texts.contains("positions")) {
    wanted.options["position_ids"] = "sequence";
    selection = selected();
  }
  if (selection.model_type != model_type) {
    throw Error(Failure::checkpoint,
                fmt::format("{} was exported from a model of type '{}', and {} is one of type '{}'", file.string(),
                            model_type, plan.model->name, selection.model_type),
                "name the folder from which it was exported");
  }
  fill_json(ChosenModel{plan.model->name, selection}, console.result());
  const std::string sum = exported.metadata("onnxport.config_sha256", "");
  if (!sum.empty() && sum != sha256_of(selection.config_file))
    console.note(selection.config_file.string() + " is not the one that the file was exported from, by its sum");
  require_backends(true);
  WeightSource weights(checkpoint, selection.name_rules);
  std::vector<GraphFile> files;
  const fs::path folder = fs::is_directory(plan.output) ? plan.output : file.parent_path();
  for (size_t i = 0; i < exported.files.size(); ++i) {
    const auto listed = exported.summaries[i].metadata.find(parts_metadata);
    const bool has_parts = listed != exported.summaries[i].metadata.end();
    files.push_back({exported.files[i].lexically_relative(folder).string(),
                     has_parts ? split_list(listed->second) : std::vector<std::string>{""}});
  }
  // Whether tensors may be left over was decided when the model was exported.
  DefinedGraphs defined =
      define_graphs(*selection.onnx_config, weights, files,
                    {.outputs = split_list(exported.metadata("onnxport.outputs", "")), .allow_unused = true});
  std::map<std::string, std::string> renamed;
  for (const std::string& pair : split_list(exported.metadata(renamed_metadata, "")))
    renamed.emplace(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
  defined.rename_outputs(renamed);
  const std::optional<Preprocessor> preprocessor = Preprocessor::from_folder(model.folder());
  const GraphForm form = form_of(exported.summaries[0]);
  ExportToValidate to_validate{*selection.onnx_config,
                               selection.onnx_config->model_config(),
                               preprocessor ? &*preprocessor : nullptr,
                               defined.graphs,
                               &weights,
                               folder,
                               form,
                               plan.budget,
                               plan.traces_values,
                               plan.custom_ops};
  add_calibration(to_validate, plan.calibration);
  if (form.dtype == ir::DType::f16) to_validate.overflows = ExportRanges(to_validate).overflows({});
  const uint64_t bytes = defined.weight_bytes();
  const std::vector<FileToValidate> to_compare = files_to_validate(to_validate);
  for (size_t i = 0; i < to_compare.size(); ++i) require_unchanged_inputs(to_compare[i], exported.summaries[i]);
  to_validate.memory = require_memory({.weights = bytes,
                                       .file = bytes,
                                       .largest_weight = defined.largest_weight_bytes(),
                                       .is_16_bit = has_16_bit_weights(form),
                                       .activations = activations_of(to_compare),
                                       .limit = plan.max_memory,
                                       .largest_piece = [&] { return largest_piece(to_validate); },
                                       .segment_size = plan.segment_size});
  to_validate.scripts = judges_of(plan.references, to_validate);
  to_validate.cases = cases_of(plan.cases, to_validate);
  const OpeningBackends opening(0);
  return validate_export(to_validate, to_compare, tolerance_for(*selection.onnx_config, form.dtype, plan.atol),
                         progress_on(console));
}

/// An export says what it is for; throws where another feature is asked for.
void require_its_feature(const std::string& asked, const ModelSummary& summary, const fs::path& file) {
  const auto own = summary.metadata.find("onnxport.feature");
  if (asked.empty() || own == summary.metadata.end() || own->second == asked) return;
  throw Error(Failure::usage,
              fmt::format("--feature {}: {} says that it was exported with {}", asked, file.string(), own->second),
              "leave --feature out, which is for files that do not say it");
}

/// What to do about a difference.
std::string advice(const ValidatePlan& plan, const Exported& exported, const ExportValidation& found) {
  if (!found.overflows.empty())
    return "modules compute numbers beyond the range of fp16: export it again with --keep-fp32 auto";
  if (!plan.model || found.differs_from_original_alone())
    return advice_on_original(found, exported.metadata("onnxport.position_ids", ""));
  if (!is_own_export(exported.summaries[0]))
    return "the definition, which recorded outputs of the original hold to account, says otherwise: export it with "
           "onnxport";
  return std::string("export it again from this checkpoint") +
         (found.problem().empty() ? "; where differences so large do not matter, pass a larger --atol" : "");
}

}  // namespace

int run_validate(const ValidateArguments& arguments, Console& console) {
  const ValidatePlan plan = plan_validate(arguments);
  guard_back_ends(search_options(plan.plugins));
  if (plan.max_memory && console.owns_process()) limit_memory(*plan.max_memory);
  Exported exported{model_files(plan.output), {}};
  for (const fs::path& one : exported.files) exported.summaries.push_back(read_model_summary(one));
  const std::vector<fs::path> all = exported.files;
  const std::map<std::string, Exported> own = own_graphs_in(exported);
  const fs::path& file = exported.files[0];
  require_its_feature(plan.feature, exported.summaries[0], file);
  if (!plan.model && exported.files.size() > 1) {
    throw Error(Failure::usage, plan.output.string() + " holds several models, and --case is of one",
                "name the .onnx file to compare, or the checkpoint as well (-m DIR)");
  }
  console.result()["model_file"] = file.string();
  for (const fs::path& one : all)
    console.result()["files"].push_back({{"path", one.string()}, {"bytes", fs::file_size(one)}});
  fill_json(JudgeFiles{plan.cases, plan.references, plan.calibration}, console.result());
  const bool is_foreign = plan.model && !is_own_export(exported.summaries[0]);
  ExportValidation found = is_foreign   ? validate_foreign(plan, exported.files, console)
                           : plan.model ? validate_model(plan, exported, console)
                                        : validate_cases(plan, file, exported.summaries[0], console);
  if (plan.model && !is_foreign) {
    ValidatePlan of_own = plan;  // what was recorded is of the others
    of_own.cases.clear();
    of_own.references.clear();
    for (const auto& [package, graphs] : own) found.add(validate_model(of_own, graphs, console));
  }
  report(back_end_decisions(), console);
  report(found, console);
  console.result()["status"] = found.passes() ? "ok" : "differs";
  if (found.passes()) {
    console.line(fmt::format("valid: {} (largest difference {:.1e})", file.string(), found.largest_difference()));
    return 0;
  }
  const std::string problem = found.problem();
  console.fail(static_cast<int>(Failure::differs), "differs",
               problem.empty() ? fmt::format("{} differs by more than the tolerance (largest difference {:.3g})",
                                             file.string(), found.largest_difference())
                               : fmt::format("{} differs: {}", file.string(), problem),
               advice(plan, exported, found));
  console.result()["status"] = "differs";
  return static_cast<int>(Failure::differs);
}

}  // namespace onnxport

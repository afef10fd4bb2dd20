// SPDX-License-Identifier: Apache-2.0
// onnxport export: the steps from a plan to files that are validated.
#include <fmt/format.h>

#include <algorithm>
#include <list>

#include "core/checkpoint/quantized.hpp"
#include "core/definition/idle_weights.hpp"
#include "core/definition/scores.hpp"
#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/ir/functions.hpp"
#include "core/listed.hpp"
#include "core/output/companions.hpp"
#include "host/commands.hpp"
#include "host/export/chosen_opset.hpp"
#include "host/export/existing_export.hpp"
#include "host/export/expected_weights.hpp"
#include "host/export/form_of_inputs.hpp"
#include "host/export/layout_files.hpp"
#include "host/export/model_card.hpp"
#include "host/export/planned_export.hpp"
#include "host/export/write_export.hpp"
#include "host/model/misnamed_fields.hpp"
#include "host/model/model_source.hpp"
#include "host/model/selection.hpp"
#include "host/plan/export_plan.hpp"
#include "host/plan/input_plan.hpp"
#include "host/process/memory.hpp"
#include "host/process/terminal.hpp"
#include "host/report/chosen_opset.hpp"
#include "host/report/config_use.hpp"
#include "host/report/planned.hpp"
#include "host/report/report.hpp"
#include "host/validation/opening.hpp"
#include "host/validation/original_advice.hpp"
#include "host/validation/range_check.hpp"
#include "host/validation/requirements.hpp"
#include "host/validation/segmented.hpp"
#include "host/validation/tolerance.hpp"
#include "host/validation/validate_export.hpp"
#include "registry/backend_trust.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The checkpoint's tokenizer or image processor, and an error where one is asked for that is not there.
std::optional<Preprocessor> find_preprocessor(PreprocessorKind wanted, const fs::path& folder) {
  std::optional<Preprocessor> found = Preprocessor::from_folder(folder);
  const bool images = found && (found->image_height || found->channels);
  const bool text = found && (found->unk || found->pad || !found->special.empty());
  const auto is_there = [&] {
    switch (wanted) {
      case PreprocessorKind::tokenizer:
        return text;
      case PreprocessorKind::feature_extractor:
      case PreprocessorKind::image_processor:
        return images;
      case PreprocessorKind::processor:
        return text || images;
      case PreprocessorKind::any:
        return true;
    }
    return true;
  };
  if (is_there()) return found;
  throw Error(
      Failure::checkpoint,
      fmt::format("--preprocessor {}: there is none in {}", name_of(preprocessor_choices, wanted), folder.string()),
      "add its files (tokenizer.json, preprocessor_config.json), or choose --preprocessor auto");
}

/// A message about the staging folder means, to the user, the folder that was asked for.
std::string without_staging(std::string text, const StagedOutput& output) {
  const std::string& hidden = output.folder().native();
  for (size_t at = text.find(hidden); at != std::string::npos; at = text.find(hidden, at)) {
    text.replace(at, hidden.size(), output.final_folder().native());
  }
  return text;
}

Wanted wanted_by(const ExportPlan& plan) {
  Wanted wanted{plan.feature, plan.plugin, Json::object()};
  if (plan.positions) wanted.options["position_ids"] = name_of(position_choices, *plan.positions);
  if (plan.sample_mask) wanted.options["sample_mask"] = "input";
  if (plan.noise_is_given) wanted.options["noise"] = "input";
  if (!plan.scores.empty()) wanted.options[scores_option] = plan.scores;
  if (plan.package != nullptr) {
    wanted.preferred = plan.package->choices;
    wanted.prefers_past = plan.package->with_past;
  }
  return wanted;
}

/// What the graphs of an included package alone are made from: the choices that the user left are that package's.
OwnGraphs own_graphs(const ExportPlan& plan, const std::string& package, const fs::path& folder,
                     WeightSource& weights) {
  Wanted wanted = wanted_by(plan);
  for (const auto& [choice, value] : plan.package->included_choices.at(package)) wanted.preferred[choice] = value;
  Terminal silent(Terminal::Mode::quiet);  // all was told of the others
  const NamedConfig config = read_config(folder);
  OwnGraphs own{package, select(plan.plugins, config.content, config.file, wanted, silent), {}, {}};
  own.defined =
      define_graphs(*own.selection.onnx_config, weights, own_layout_files(plan, *own.selection.onnx_config, package),
                    {.outputs = plan.outputs, .allow_unused = true});
  own.renamed = own.defined.rename_outputs(plan.layout->outputs);
  return own;
}

/// They against their definitions, as the others of the export.
ExportValidation validate_own_graphs(const OwnGraphs& own, const ExportToValidate& others, const Tolerance& tolerance,
                                     const Progress& progress) {
  ExportToValidate exported{*own.selection.onnx_config,
                            own.selection.onnx_config->model_config(),
                            others.preprocessor,
                            own.defined.graphs,
                            others.weights,
                            others.folder,
                            others.form,
                            others.budget,
                            others.traces_values,
                            others.kernels};
  exported.memory = others.memory;
  return validate_export(exported, files_to_validate(exported), tolerance, progress);
}

/// What the plugin's extension puts out in every export, unless it was asked for anyway.
void add_outputs(const Selection& selection, ExportPlan& plan) {
  for (const std::string& step : selection.outputs) {
    if (std::find(plan.outputs.begin(), plan.outputs.end(), step) == plan.outputs.end()) plan.outputs.push_back(step);
  }
}

/// The layout's files. Throws Error(usage) where these are several and the output is the name of one.
std::vector<GraphFile> files_in(const ExportPlan& plan, const OnnxConfig& config, const StagedOutput& output) {
  std::vector<GraphFile> files = layout_files(plan, config, output.model_file());
  if (output.is_folder() || (files.size() == 1 && plan.package == nullptr)) return files;
  throw Error(Failure::usage,
              fmt::format("--layout {} writes several files, and the output is named {}", plan.layout->name,
                          plan.output.string()),
              "name a folder");
}

/// Throws Error(usage) where weights were to lie in a file that something else is written to as well.
void require_data_name(const ExportPlan& plan, const fs::path& checkpoint, const StagedOutput& output) {
  const std::string& name = plan.weights.data_name;
  if (name.empty()) return;
  const std::vector<fs::path> copied = output.is_folder() ? companion_files(checkpoint) : std::vector<fs::path>();
  const auto is_name = [&](const auto& file) { return file == name; };
  const auto is_made = [&](const PackageFile& file) { return file.name == name; };
  const bool is_taken =
      std::any_of(copied.begin(), copied.end(), is_name) || (plan.model_card && name == model_card_file) ||
      (plan.package != nullptr && std::any_of(plan.package->files.begin(), plan.package->files.end(), is_made));
  if (!is_taken) return;
  throw Error(Failure::usage, fmt::format("--data-name {} is the name of another file of this export", name),
              "give a name that nothing else there has, such as weights.bin");
}

/// Throws Error(usage) where files that a package makes, among them config.json, would take the place of the
/// checkpoint's own.
void require_own_folder(const ExportPlan& plan, const fs::path& checkpoint, const StagedOutput& output) {
  std::error_code absent;
  if (plan.package == nullptr || plan.package->files.empty() ||
      !fs::equivalent(checkpoint, output.final_folder(), absent))
    return;
  throw Error(Failure::usage,
              fmt::format("--layout {} makes files of its own, such as {}, and {} is the checkpoint's folder",
                          plan.package->layout.name, plan.package->files[0].name, plan.output.string()),
              "export to another folder");
}

/// Whether an earlier run has left what this one would write; tells what it found.
bool is_there(const ExportToRepeat& wanted, Console& console) {
  const ExportedFiles files = files_of(wanted.plan, *wanted.selection.onnx_config);
  const fs::path model = files.folder / files.graphs[0].file;
  Json& json = console.result();
  fill_json(ChosenModel{wanted.plan.model.name, wanted.selection}, json);
  if (const auto reason = reason_to_export(wanted, files)) {
    json["skipped"] = false;
    json["exported_because"] = *reason;
    return false;
  }
  json["skipped"] = true;
  json["model_file"] = fs::absolute(model).lexically_normal().string();
  json["status"] = "ok";
  console.line("skipped: " + model.string() + " is there already");
  return true;
}

/// What --dry-run does, which takes no back end. Yields the exit status.
int tell_plan(const ExportToRepeat& wanted, Console& console) {
  report(ChosenModel{wanted.plan.model.name, wanted.selection}, console);
  report(plan_of(wanted, files_of(wanted.plan, *wanted.selection.onnx_config)), console);
  console.result()["status"] = "ok";
  console.line("nothing was written (--dry-run)");
  return 0;
}

/// Throws Error(usage) where the file could not be validated, as it calls kernels that nobody has.
void require_runnable(const ExportPlan& plan, const DefinedGraphs& defined) {
  if (!plan.keep_custom_ops || !plan.validation || !plan.custom_ops.empty()) return;
  for (const Definition& definition : defined.definitions) {
    for (const ir::Node& node : definition.graph.nodes) {
      if (!ir::is_function(node)) continue;
      throw Error(
          Failure::usage,
          fmt::format("--keep-custom-ops: ONNX Runtime has no kernel for {}.{} to validate with", node.domain, node.op),
          "name the library of kernels with --custom-ops LIB, or pass --no-validate");
    }
  }
}

/// What the files hold. Weights that do not fit the base model may be of a head, where nothing told the feature.
DefinedGraphs define_known(const Selection& selection, const ExportPlan& plan, const std::vector<GraphFile>& files,
                           WeightSource& weights) {
  const DefineOptions options{.outputs = plan.outputs, .allow_unused = plan.allow_unused};
  try {
    DefinedGraphs defined = define_graphs(*selection.onnx_config, weights, files, options);
    refuse_heads_of_others(selection, weights);
    return defined;
  } catch (const Error& error) {
    if (error.failure() == Failure::checkpoint) refuse_heads_of_others(selection, weights);
    throw;
  }
}

/// Which modules leave the range of f16, and what stays in f32 for that, into what is to be validated. Yields what was
/// kept beside what the plan asks for.
KeptModules keep_range(const ExportPlan& plan, ExportToValidate& exported, Console& console) {
  KeptModules kept;
  if (exported.form.dtype != ir::DType::f16 || (!plan.validation && !plan.weights.keeps_range)) return kept;
  if (const Progress progress = progress_on(console); progress.report) progress.report("measuring", 0, 0);
  const ExportRanges ranges(exported);
  if (plan.weights.keeps_range) report(KeptInRange{kept_limit(), ranges.keep(kept)}, console);
  exported.overflows = ranges.overflows(kept);
  exported.form.keep_in_fp32.add(kept);
  return kept;
}

/// What was found where numbers leave the range of the type, and what to do.
int fail_for_range(const ExportValidation& found, const std::string& folder, Console& console) {
  std::vector<std::string> names;
  for (const ModuleRange& range : found.overflows)
    names.push_back(fmt::format("{} ({:.3g})", range.name(), range.largest));
  console.fail(static_cast<int>(Failure::differs), "differs",
               fmt::format("{} modules compute numbers beyond the range of fp16, which ends at {}: {}",
                           found.overflows.size(), largest_f16, listed(names, 3)),
               "pass --keep-fp32 auto, which leaves such modules in f32, or --dtype bf16, which has the range of fp32; "
               "the files are kept in " +
                   folder + " for a look at them");
  console.result()["status"] = "differs";
  return static_cast<int>(Failure::differs);
}

/// The last words. The files are delivered, whatever validation found. Yields the exit status.
int conclude(const std::string& model_file, const std::optional<ExportValidation>& found, Console& console) {
  Json& json = console.result();
  json["status"] = "ok";
  if (!found) {
    console.line("done: " + model_file + " (not validated)");
    return 0;
  }
  if (found->passes()) {
    console.line(
        fmt::format("done: {} (validated, largest difference {:.1e})", model_file, found->largest_difference()));
    return 0;
  }
  if (!found->overflows.empty()) return fail_for_range(*found, fs::path(model_file).parent_path().string(), console);
  const std::string problem = found->problem();
  const bool is_of_original = found->differs_from_original_alone();
  const std::string from = is_of_original ? " from the original" : "";
  const std::string kept =
      "the files are kept in " + fs::path(model_file).parent_path().string() + " for a look at them";
  const std::string larger =
      problem.empty() && found->is_finite() ? "; where differences so large do not matter, pass a larger --atol" : "";
  console.fail(
      static_cast<int>(Failure::differs), "differs",
      problem.empty() ? fmt::format("validation found differences{} above the tolerance of {} (largest {:.3g})", from,
                                    describe(found->tolerance), found->largest_difference())
                      : fmt::format("validation found a difference{}: {}", from, problem),
      is_of_original ? advice_on_original(*found, json.value("position_ids", "")) + "; " + kept : kept + larger);
  json["status"] = "differs";
  return static_cast<int>(Failure::differs);
}

}  // namespace

int run_export(const ExportArguments& arguments, Console& console) {
  ExportPlan plan = plan_export(arguments);
  guard_back_ends(search_options(plan.plugins));
  if (plan.max_memory && console.owns_process()) limit_memory(*plan.max_memory);
  const ir::DType dtype = plan.weights.dtype;
  ModelSource model(plan.model, progress_on(console));
  const fs::path folder = model.folder();
  const Json config = Checkpoint::open_config(folder).config();
  Selection selection = select(plan.plugins, config, folder / "config.json", wanted_by(plan), console);
  refuse_quantized_config(config, folder);  // before the weights are downloaded
  add_outputs(selection, plan);
  const OnnxConfig& onnx_config = *selection.onnx_config;
  const int64_t opset = opset_for(plan, onnx_config);
  require_opset(onnx_config, opset);
  const ExportToRepeat wanted{plan, selection, folder, opset};
  if (plan.dry_run) return tell_plan(wanted, console);
  if (plan.skip_existing && is_there(wanted, console)) return 0;
  std::optional<Preprocessor> preprocessor;
  if (plan.validation) {
    require_backends(true);
    preprocessor = find_preprocessor(plan.validation->preprocessor, folder);
  } else if (plan.weights.keeps_range) {
    preprocessor = Preprocessor::from_folder(folder);
  }
  report(ChosenModel{plan.model.name, selection}, console);
  if (plan.validation)
    fill_json(JudgeFiles{plan.validation->cases, plan.validation->references, plan.calibration}, console.result());

  // An output that cannot be written is known before anything is downloaded.
  StagedOutput output(plan.output);
  const std::vector<GraphFile> files = files_in(plan, onnx_config, output);
  require_inputs(plan.inputs, onnx_config, files);
  require_data_name(plan, folder, output);
  require_own_folder(plan, folder, output);
  if (plan.model_card) require_card_place(output.final_folder());
  if (model.is_by_id()) {
    // Nor is it for an export that this machine could not finish.
    if (plan.validation) probe_backends(true);
    WeightSource none;
    define_graphs(onnx_config, none, files);
    const auto [bytes, largest] = expected_weights(none);
    if (plan.validation) {
      require_memory(
          {.weights = bytes, .file = bytes_as(dtype, bytes), .largest_weight = largest, .limit = plan.max_memory});
    }
    if (plan.weights.place != WeightPlace::link) output.require_space(bytes_as(dtype, bytes));
  }
  if (const auto fetched = model.fetch_weights()) report(*fetched, console);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  for (const std::string& note : checkpoint.notes()) console.note(note);
  WeightSource weights(checkpoint, selection.name_rules);
  DefinedGraphs defined = define_known(selection, plan, files, weights);
  const std::map<std::string, std::string> renamed = defined.rename_outputs(plan.layout->outputs);
  const bool strict_config = plan.strict_config.value_or(selection.is_extension);
  note_misnamed({.selection = selection, .config = config, .strict = strict_config}, console);
  note_leftovers({.definition = defined.definitions[0], .config = config, .strict = strict_config}, console);
  report(ConfigUse{onnx_config, config}, console);
  for (const Definition& definition : defined.definitions) {
    for (std::string& name : idle_weights(definition.graph))
      console.result()["idle_weights"].push_back(std::move(name));
  }
  require_modules(plan.weights.keep_fp32, defined.definitions);
  if (!plan.inputs.fixed.empty()) {
    for (const Definition& definition : defined.definitions)
      in_form(definition, plan.inputs, onnx_config.model_config());
  }
  const GraphForm form{.opset = opset,
                       .dtype = dtype,
                       .weights_as_stored = plan.weights.place == WeightPlace::link,
                       .inputs = plan.inputs,
                       .keep_in_fp32 = plan.weights.keep_fp32};
  if (plan.runtime) report(chosen_opset(plan, onnx_config, defined, form), console);
  ExportToValidate to_validate{onnx_config,
                               onnx_config.model_config(),
                               preprocessor ? &*preprocessor : nullptr,
                               defined.graphs,
                               &weights,
                               output.folder(),
                               form,
                               plan.validation ? plan.validation->budget : ValidationBudget::normal,
                               plan.validation && plan.validation->traces_values,
                               plan.custom_ops};
  require_runnable(plan, defined);
  if (plan.validation || plan.weights.keeps_range) add_calibration(to_validate, plan.calibration);
  const KeptModules kept = keep_range(plan, to_validate, console);
  std::vector<FileToValidate> to_compare;
  std::optional<OpeningBackends> opening;
  if (plan.validation) {
    to_compare = files_to_validate(to_validate);
    const uint64_t bytes = defined.weight_bytes();
    to_validate.memory = require_memory({.weights = bytes,
                                         .file = bytes_as(dtype, bytes),
                                         .largest_weight = defined.largest_weight_bytes(),
                                         .is_16_bit = has_16_bit_weights(form),
                                         .activations = activations_of(to_compare),
                                         .limit = plan.max_memory,
                                         .largest_piece = [&] { return largest_piece(to_validate); },
                                         .segment_size = plan.validation->segment_size});
    to_validate.scripts = judges_of(plan.validation->references, to_validate);
    to_validate.cases = cases_of(plan.validation->cases, to_validate);
    opening.emplace(plan.weights.place == WeightPlace::link ? 0 : bytes_as(dtype, bytes));
  }
  console.stop_if_cancelled();

  std::optional<ExportValidation> found;
  try {
    const WriteEvents events{[&](const WriteForecast& forecast) { report(forecast, console); }, progress_on(console)};
    std::list<OwnGraphs> own;
    ExportSource source{selection, checkpoint, defined, opset, renamed, kept};
    if (plan.package != nullptr && !plan.package->included_choices.empty())
      source.own = [&](const std::string& package) -> const OwnGraphs& {
        return own.emplace_back(own_graphs(plan, package, folder, weights));
      };
    const WrittenExport written = write_export(plan, source, output, events);
    report(written, console);
    // What is compared is what will be delivered, and an interrupted validation leaves nothing behind.
    if (plan.validation) {
      const Tolerance tolerance = tolerance_for(onnx_config, dtype, plan.validation->atol);
      found = validate_export(to_validate, to_compare, tolerance, progress_on(console));
      for (const OwnGraphs& graphs : own)
        found->add(validate_own_graphs(graphs, to_validate, tolerance, progress_on(console)));
      report(*found, console);
      for (const GraphFile& file : found->passes() ? std::vector<GraphFile>() : files)
        mark_as_differing(output.folder() / file.file);
    } else {
      console.result()["validation"]["status"] = "skipped";
    }
    report(back_end_decisions(), console);
    console.stop_if_cancelled();
    if (plan.model_card) {
      const Json validation = found ? console.result()["validation"] : Json();
      report(write_model_card(plan, source, written, validation, output), console);
    }
    // So that a plugin that fails or loops while its objects go leaves nothing behind either.
    selection.onnx_config.reset();
    console.stop_if_cancelled();
    output.commit();
  } catch (const Error& error) {
    throw Error(error.failure(), without_staging(error.what(), output), without_staging(error.hint(), output));
  }
  return conclude((output.final_folder() / defined.graphs[0].file).string(), found, console);
}

}  // namespace onnxport

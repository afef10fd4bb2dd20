// SPDX-License-Identifier: Apache-2.0
#include "host/validate_foreign.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/inspect/findings.hpp"
#include "core/package/layout.hpp"
#include "host/model/finished_files.hpp"
#include "host/model/model_source.hpp"
#include "host/plan/choices.hpp"
#include "host/report/report.hpp"
#include "host/validation/foreign_ports.hpp"
#include "host/validation/opening.hpp"
#include "host/validation/range_check.hpp"
#include "host/validation/requirements.hpp"
#include "host/validation/tolerance.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The files as graphs of the model, by their names; nothing for a file that no layout has.
std::vector<GraphFile> graphs_of(const OnnxConfig& config, const std::vector<FinishedFile>& files) {
  const std::vector<std::vector<std::string>> parts = parts_of(config, files);
  std::vector<GraphFile> graphs;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!parts[i].empty()) graphs.push_back({files[i].path.filename().string(), parts[i]});
  }
  return graphs;
}

void note_ports(const PortMap& ports, const std::string& file, Console& console) {
  const auto note = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) console.note(fmt::format("{}: {}: {}", file, what, fmt::join(names, ", ")));
  };
  note("outputs that the model's definition does not have are ignored", ports.ignored);
  note("outputs are missing", ports.missing);
  note("inputs are missing, so that they have no effect", ports.without_effect);
  std::vector<std::string> renamed;
  for (const auto* pairs : {&ports.inputs, &ports.outputs}) {
    for (const auto& [own, theirs] : *pairs) {
      if (own != theirs) renamed.push_back(fmt::format("{} is {}", theirs, own));
    }
  }
  note("names were matched by type and order", renamed);
}

void note_findings(const FinishedFile& file, Console& console) {
  const inspect::OnnxFile read = inspect::read_onnx_file(file.path);
  const std::vector<inspect::StoredTensor> tensors = inspect::stored_tensors(read.model);
  const inspect::SizableModel sizable(read.model);
  for (const inspect::Finding& finding : inspect::find_faults({read, tensors, sizable})) {
    std::vector<std::string> first = finding.places;
    if (first.size() > 3) first.resize(3);
    console.note(fmt::format("{}: {}: {}: {}{}", file.path.filename().string(), finding.kind, finding.text,
                             fmt::join(first, ", "), finding.places.size() > 3 ? ", …" : ""));
    console.result()["findings"].push_back({{"file", file.path.string()},
                                            {"kind", finding.kind},
                                            {"text", finding.text},
                                            {"places", finding.places},
                                            {"bytes", finding.bytes}});
  }
}

/// All that a set of inputs has to bring for this file.
void require_inputs(const PortMap& ports, const std::vector<std::string>& also_given, const std::string& file,
                    const Selection& selection) {
  std::vector<std::string> unknown;
  for (const std::string& name : ports.unknown) {
    if (std::find(also_given.begin(), also_given.end(), name) == also_given.end()) unknown.push_back(name);
  }
  if (unknown.empty()) return;
  throw Error(Failure::usage,
              fmt::format("{} takes inputs that a {} with feature '{}' does not have: {}", file, selection.model_type,
                          selection.feature, fmt::join(unknown, ", ")),
              "name the feature that the file was exported with: --feature NAME (`onnxport features TYPE` lists them)");
}

/// Makes the runnable of a file whose ports have to be matched with a definition's. What it refers to outlives it.
auto matching_ports(const FinishedFile& file, const std::vector<Comparison>& comparisons, const Selection& selection,
                    Console& console) {
  return [&, is_noted = std::make_shared<bool>(false)](const Definition& definition, Runnable& onnx) {
    PortMap ports = map_ports(definition.graph, file.summary);
    const auto comparison = std::find_if(comparisons.begin(), comparisons.end(),
                                         [&](const Comparison& one) { return one.definition == &definition; });
    std::vector<std::string> given;
    for (const auto& [name, tensor] : comparison->inputs.at(0).inputs) given.push_back(name);
    const std::string name = file.path.filename().string();
    require_inputs(ports, given, name, selection);
    if (!std::exchange(*is_noted, true)) note_ports(ports, name, console);
    return behind_names(std::move(ports), file.summary, onnx);
  };
}

}  // namespace

ExportValidation validate_foreign(const ValidatePlan& plan, const std::vector<fs::path>& paths, Console& console) {
  std::vector<FinishedFile> files;
  for (const fs::path& path : paths) files.push_back({path, read_model_summary(path)});
  console.note(fmt::format("{} was written by {}: names are matched with the model's definition",
                           paths[0].parent_path().string(),
                           files[0].summary.producer.empty() ? "another exporter" : files[0].summary.producer));
  ModelSource model(*plan.model, progress_on(console));
  if (const auto fetched = model.fetch_weights()) report(*fetched, console);
  const Checkpoint checkpoint = Checkpoint::open(model.folder());
  const Selection selection =
      matching_selection({plan.plugins, plan.feature, plan.plugin},
                         {checkpoint.folder() / "config.json", checkpoint.config()}, files, console);
  report(ChosenModel{plan.model->name, selection}, console);
  require_backends(true);
  WeightSource weights(checkpoint, selection.name_rules);
  const std::vector<GraphFile> graphs = graphs_of(*selection.onnx_config, files);
  const DefinedGraphs defined =
      define_graphs(*selection.onnx_config, weights, graphs, {.outputs = {}, .allow_unused = true});
  const std::optional<Preprocessor> preprocessor = Preprocessor::from_folder(model.folder());
  ExportToValidate to_validate{*selection.onnx_config,
                               checkpoint.config(),
                               preprocessor ? &*preprocessor : nullptr,
                               defined.graphs,
                               &weights,
                               paths[0].parent_path(),
                               GraphForm{.opset = files[0].summary.opset()},
                               plan.budget};
  to_validate.kernels = plan.custom_ops;
  add_calibration(to_validate, plan.calibration);
  to_validate.scripts = judges_of(plan.references, to_validate);  // files of others are run as a whole
  to_validate.cases = cases_of(plan.cases, to_validate);
  std::vector<FileToValidate> to_compare = files_to_validate(to_validate);
  const uint64_t bytes = defined.weight_bytes();
  to_validate.memory = require_memory({.weights = bytes,
                                       .file = bytes,
                                       .largest_weight = defined.largest_weight_bytes(),
                                       .activations = activations_of(to_compare),
                                       .limit = plan.max_memory,
                                       .segment_size = plan.segment_size});
  const OpeningBackends opening(0);
  ExportValidation found{.tolerance = tolerance_for(*selection.onnx_config, ir::DType::f32, plan.atol),
                         .memory = to_validate.memory};
  for (const FinishedFile& file : files) {
    note_findings(file, console);
    const auto written = std::find_if(to_compare.begin(), to_compare.end(),
                                      [&](const FileToValidate& other) { return other.file == file.path; });
    if (written == to_compare.end()) {
      console.note(file.path.filename().string() + " is no file of a layout that is known, and is not compared");
      continue;
    }
    written->behind_names = matching_ports(file, written->comparisons, selection, console);
    found.files.push_back(validate_file(&to_validate, *written, found.tolerance, progress_on(console)));
  }
  return found;
}

}  // namespace onnxport

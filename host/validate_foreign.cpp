// SPDX-License-Identifier: Apache-2.0
#include "host/validate_foreign.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/inspect/findings.hpp"
#include "core/package/layout.hpp"
#include "host/model/model_source.hpp"
#include "host/model/selection.hpp"
#include "host/plan/choices.hpp"
#include "host/process/terminal.hpp"
#include "host/report/report.hpp"
#include "host/validation/foreign_ports.hpp"
#include "host/validation/opening.hpp"
#include "host/validation/range_check.hpp"
#include "host/validation/requirements.hpp"
#include "host/validation/tolerance.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

struct ForeignFile {
  fs::path path;
  ModelSummary summary;
};

/// Inputs that a description and a file do not share.
size_t mismatch(const Description& description, const ModelSummary& file) {
  std::set<std::string> own, theirs, shared;
  for (const InputSpec& input : description.inputs) own.insert(input.name);
  for (const auto& input : file.inputs) theirs.insert(input.name);
  std::set_intersection(own.begin(), own.end(), theirs.begin(), theirs.end(), std::inserter(shared, shared.end()));
  return own.size() + theirs.size() - 2 * shared.size();
}

/// The files as graphs of the model, whichever layout has such a file; nothing for a file that no layout has.
std::vector<GraphFile> graphs_of(const OnnxConfig& config, const std::vector<ForeignFile>& files) {
  if (files.size() == 1 && config.parts().empty()) return {{files[0].path.filename().string(), {""}}};
  std::vector<GraphFile> graphs;
  for (const ForeignFile& file : files) {
    const std::string name = file.path.filename().string();
    for (const Layout& layout : layouts()) {
      try {
        const std::vector<GraphFile> known = graph_files(layout, config, "model.onnx");
        const auto found =
            std::find_if(known.begin(), known.end(), [&](const GraphFile& graph) { return graph.file == name; });
        if (found == known.end()) continue;
        graphs.push_back(*found);
        break;
      } catch (const Error&) {  // the model has no such layout
      }
    }
  }
  if (graphs.empty() && files.size() == 1) graphs.push_back({files[0].path.filename().string(), {""}});
  return graphs;
}

const ForeignFile& file_of(const std::vector<ForeignFile>& files, const std::string& name) {
  return *std::find_if(files.begin(), files.end(),
                       [&](const ForeignFile& file) { return file.path.filename() == name; });
}

size_t mismatch(const OnnxConfig& config, const std::vector<ForeignFile>& files) {
  size_t sum = 0;
  const std::vector<GraphFile> graphs = graphs_of(config, files);
  for (const GraphFile& graph : graphs) {
    // A file of two steps takes what both take, and its branch.
    if (graph.parts.size() > 1) continue;
    const std::string& part = graph.parts[0];
    sum += mismatch(part.empty() ? config.description() : config.description(part), file_of(files, graph.file).summary);
  }
  // A file that no graph explains counts as much as many inputs.
  return sum + 1000 * (files.size() - graphs.size());
}

/// The features to try: what was asked for; the architecture's, with and without a past; or all where nothing tells.
std::vector<std::string> features_to_try(const ValidatePlan& plan, const Selection& usual) {
  if (!plan.feature.empty()) return {plan.feature};
  if (usual.is_assumed) return usual.registry->resolve(usual.model_type, plan.plugin).model->features;
  constexpr const char* past = "-with-past";
  std::vector<std::string> features{usual.feature};
  const bool has_past = usual.feature.ends_with(past);
  features.push_back(has_past ? usual.feature.substr(0, usual.feature.size() - std::string_view(past).size())
                              : usual.feature + past);
  return features;
}

/// The selection whose inputs are those of the files. Clients count positions as the original does, in sequence, or
/// hand them over.
Selection matching_selection(const ValidatePlan& plan, const Checkpoint& checkpoint,
                             const std::vector<ForeignFile>& files, Console& console) {
  const fs::path config_file = checkpoint.folder() / "config.json";
  const Json& config = checkpoint.config();
  std::optional<Selection> best =
      select(plan.plugins, config, config_file, {plan.feature, plan.plugin, Json::object()}, console);
  const std::vector<std::string> features = features_to_try(plan, *best);
  size_t least = std::numeric_limits<size_t>::max();
  Terminal silent(Terminal::Mode::quiet);
  for (const std::string& feature : features) {
    for (const char* positions : {"sequence", "input", ""}) {
      Wanted wanted{feature, plan.plugin, Json::object()};
      if (*positions != 0) wanted.options["position_ids"] = positions;
      try {
        Selection candidate = select(plan.plugins, config, config_file, wanted, silent);
        const size_t differs = mismatch(*candidate.onnx_config, files);
        if (differs >= least) continue;
        least = differs;
        best = std::move(candidate);
      } catch (const Error&) {  // no such feature, or positions are no choice of this model
      }
    }
  }
  return std::move(*best);
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

void note_findings(const ForeignFile& file, Console& console) {
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
auto matching_ports(const ForeignFile& file, const std::vector<Comparison>& comparisons, const Selection& selection,
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

bool is_own_export(const ModelSummary& file) {
  return file.metadata.contains("onnxport.feature");
}

ExportValidation validate_foreign(const ValidatePlan& plan, const std::vector<fs::path>& paths, Console& console) {
  std::vector<ForeignFile> files;
  for (const fs::path& path : paths) files.push_back({path, read_model_summary(path)});
  console.note(fmt::format("{} was written by {}: names are matched with the model's definition",
                           paths[0].parent_path().string(),
                           files[0].summary.producer.empty() ? "another exporter" : files[0].summary.producer));
  ModelSource model(*plan.model, progress_on(console));
  if (const auto fetched = model.fetch_weights()) report(*fetched, console);
  const Checkpoint checkpoint = Checkpoint::open(model.folder());
  const Selection selection = matching_selection(plan, checkpoint, files, console);
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
  for (const ForeignFile& file : files) {
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

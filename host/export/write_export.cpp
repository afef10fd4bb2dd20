// SPDX-License-Identifier: Apache-2.0
#include "host/export/write_export.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "core/definition/scores.hpp"
#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/format_bytes.hpp"
#include "core/listed.hpp"
#include "core/output/companions.hpp"
#include "host/export/complete_package.hpp"
#include "host/export/exported_facts.hpp"
#include "host/plan/input_plan.hpp"
#include "registry/trust.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// A full disk, with what is needed and what there is; other errors as they are.
Error with_figures(const Error& error, uint64_t bytes, const StagedOutput& output) {
  if (error.failure() != Failure::output || std::strstr(error.what(), std::strerror(ENOSPC)) == nullptr) return error;
  return Error(Failure::output,
               fmt::format("{}; {} are needed and {} are free", error.what(), format_bytes(bytes),
                           format_bytes(output.free_space())),
               error.hint());
}

std::vector<fs::path> companions(const Checkpoint& checkpoint, const StagedOutput& output) {
  std::error_code elsewhere;
  if (!output.is_folder() || fs::equivalent(checkpoint.folder(), output.final_folder(), elsewhere)) return {};
  return copy_companions(checkpoint.folder(), output.folder());
}

/// Makes the folders that the layout has within the output's.
void make_folders(const std::vector<GraphToExport>& graphs, const fs::path& output) {
  for (const GraphToExport& graph : graphs) {
    const fs::path folder = (output / graph.file).parent_path();
    std::error_code reason;
    fs::create_directories(folder, reason);
    if (reason) throw output_error("cannot create the folder", folder, reason.value());
  }
}

}  // namespace

std::map<std::string, std::string> metadata_of(const ExportPlan& plan, const Selection& selection) {
  std::map<std::string, std::string> metadata{
      {"onnxport.model_type", selection.model_type},
      {"onnxport.feature", selection.feature},
      {"onnxport.plugin", selection.plugin_id + " " + selection.plugin_version}};
  if (!selection.extension_id.empty())
    metadata["onnxport.extension"] = selection.extension_id + " " + selection.extension_version;
  if (!plan.outputs.empty()) metadata["onnxport.outputs"] = fmt::format("{}", fmt::join(plan.outputs, ","));
  if (plan.weights.dtype != ir::DType::f32) metadata["onnxport.dtype"] = name_of(dtype_choices, plan.weights.dtype);
  std::vector<std::string> kept = words_of(plan.weights.keep_fp32);
  if (plan.weights.keeps_range) {
    kept.insert(kept.begin(), keep_range_word);
    if (!plan.calibration.empty()) metadata["onnxport.calibration_sha256"] = sha256_of(plan.calibration);
  }
  if (!kept.empty()) metadata[kept_metadata] = fmt::format("{}", fmt::join(kept, ","));
  if (plan.weights.place == WeightPlace::link) metadata["onnxport.weights"] = "link";
  const auto& facts = selection.onnx_config->description().texts;
  if (const auto positions = facts.find("positions"); positions != facts.end())
    metadata["onnxport.position_ids"] = positions->second;
  else if (plan.positions)  // a plugin that does not tell
    metadata["onnxport.position_ids"] = name_of(position_choices, *plan.positions);
  if (const auto keys = facts.find("encoder_keys"); keys != facts.end() && keys->second != "decoder")
    metadata["onnxport.encoder_keys"] = keys->second;
  if (const auto features = selection.options.find("image_features"); features != selection.options.end())
    metadata["onnxport.image_features"] = features->get<std::string>();
  if (plan.sample_mask) metadata["onnxport.sample_mask"] = "input";
  if (selection.drops_sample_mask) metadata["onnxport.sample_mask"] = "none";
  if (plan.noise_is_given) metadata["onnxport.noise"] = "input";
  if (!plan.scores.empty()) metadata[scores_metadata] = plan.scores;
  // What the model was made from, in what is the same wherever and whenever it is made.
  metadata["onnxport.config_sha256"] = sha256_of(selection.config_file);
  metadata.merge(metadata_of(plan.inputs));
  if (plan.keep_custom_ops) metadata["onnxport.custom_ops"] = "kept";
  if (plan.runtime) metadata["onnxport.runtime"] = inspect::to_text(*plan.runtime);
  return metadata;
}

void WrittenExport::set_file(const fs::path& staging, const fs::path& name) {
  std::error_code ignored;
  const File file{name, fs::file_size(staging / name, ignored)};
  const auto there = std::find_if(files.begin(), files.end(), [&](const File& one) { return one.name == name; });
  if (there == files.end())
    files.push_back(file);
  else
    *there = file;
}

namespace {

[[noreturn]] void refuse_not_finite(const std::set<std::string>& weights) {
  std::vector<std::string> named;
  for (const std::string& name : weights) named.push_back("'" + name + "'");
  throw Error(
      Failure::checkpoint,
      fmt::format("the checkpoint holds NaN or infinite numbers where weights are expected: in {}", listed(named, 3)),
      "save the model again from a state that computes; where it means them, leave out --no-validate, which "
      "then says what the outputs are");
}

/// How graphs are written, whatever their weights are stored as.
ExportOptions options_for(const ExportPlan& plan, const ExportSource& source, const StagedOutput& output) {
  ExportOptions options;
  options.opset = source.opset;
  options.axes = {plan.layout->axes, plan.layout->keeps_open_axes};
  options.inputs = plan.inputs;
  options.keep_in_fp32 = plan.weights.keep_fp32;
  options.keep_in_fp32.add(source.kept);
  if (plan.runtime) options.newest_ir_version = inspect::readable_by(*plan.runtime).ir_version;
  options.model_file = output.model_file();
  options.keep_custom_ops = plan.keep_custom_ops;
  options.metadata = metadata_of(plan, source.selection);
  if (!source.kept.empty())
    options.metadata[measured_metadata] = fmt::format("{}", fmt::join(words_of(source.kept), ","));
  for (const auto& [name, written] : source.renamed) {
    std::string& listed = options.metadata[renamed_metadata];
    listed += fmt::format("{}{}={}", listed.empty() ? "" : ",", name, written);
  }
  return options;
}

/// An export whose graphs are written.
struct GraphsWritten {
  const ExportPlan& plan;
  const ExportSource& source;
  const StagedOutput& output;
  const ExportOptions& options;  // by which they were
  const PlacedWeights& placed;
};

/// Writes graphs of an included package alone beside the others, whose weights they refer to; yields what its templates
/// are told of them.
Json write_own_graphs(const GraphsWritten& others, const std::string& package, WrittenExport& written) {
  const OwnGraphs& own = others.source.own(package);
  const ExportSource source{own.selection, others.source.checkpoint, own.defined, others.source.opset,
                            own.renamed,   others.source.kept};
  ExportOptions options = options_for(others.plan, source, others.output);
  options.metadata[own_graphs_metadata] = package;
  options.dtype = others.options.dtype;
  options.external_data = others.options.external_data;
  options.linked = others.options.linked;
  options.data_piece = others.options.data_piece;
  options.memory = others.options.memory;
  options.progress = others.options.progress;
  options.not_finite = others.options.not_finite;
  options.placed = others.placed;
  const fs::path folder = others.output.folder();
  ExportResult result = export_graphs(*own.selection.onnx_config, own.defined.graphs, folder, options);
  for (const ExportedFile& file : result.files) written.set_file(folder, file.path.lexically_relative(folder));
  WrittenExport told = written;
  told.graphs = std::move(result.graphs);
  return exported_facts(others.plan, source, told, folder);
}

/// The files that the package has besides; those that changed one of the checkpoint's are in the list already.
void add_package_files(const GraphsWritten& graphs, WrittenExport& written) {
  const ExportPlan& plan = graphs.plan;
  if (plan.package == nullptr) return;
  const fs::path& folder = graphs.output.folder();
  PackageToComplete package{*plan.package, graphs.source.selection.plugin_folders, folder,
                            [&] { return exported_facts(plan, graphs.source, written, folder); }};
  if (graphs.source.own) {
    package.own_graphs = [&](const std::string& name, WrittenExport& so_far) {
      return write_own_graphs(graphs, name, so_far);
    };
  }
  complete_package(package, written);
}

}  // namespace

WrittenExport write_export(const ExportPlan& plan, const ExportSource& source, const StagedOutput& output,
                           const WriteEvents& events) {
  ExportOptions options = options_for(plan, source, output);
  options.tells_places = source.own != nullptr;
  const WeightsToStore weights{source.defined.graphs, source.defined.weight_bytes()};
  choose_weight_storage(plan, weights, output, options);
  WriteForecast forecast;
  options.planned = [&](const std::vector<ExportedFile>& files) {
    forecast = forecast_of(files);
    events.forecast(forecast);
    predict_time(forecast, weights, output);
    if (forecast.seconds) events.forecast(forecast);
  };
  options.progress = events.progress;
  // Otherwise validation finds what they do to the outputs.
  std::set<std::string> not_finite;
  if (!plan.validation) options.not_finite = &not_finite;
  ExportResult result;
  std::vector<fs::path> names;
  try {
    make_folders(source.defined.graphs, output.folder());
    result = export_graphs(*source.selection.onnx_config, source.defined.graphs, output.folder(), options);
    for (const ExportedFile& file : result.files) names.push_back(file.path.lexically_relative(output.folder()));
    for (fs::path& name : companions(source.checkpoint, output)) names.push_back(std::move(name));
  } catch (const Error& error) {
    throw with_figures(error, forecast.bytes, output);
  }
  source.checkpoint.check_unchanged();
  if (!not_finite.empty()) refuse_not_finite(not_finite);

  WrittenExport written{source.selection.model_type, source.selection.feature, source.opset,
                        output.final_folder(),       std::move(result.graphs), {},
                        std::move(result.tied)};
  for (const fs::path& name : names) written.set_file(output.folder(), name);
  add_package_files({plan, source, output, options, result.placed}, written);
  for (const auto& [file, location] : options.linked) written.linked.push_back(location);
  std::sort(written.linked.begin(), written.linked.end());
  written.not_linked = std::move(result.not_linked);
  return written;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "host/weight_storage.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/output/linking.hpp"
#include "core/output/throughput.hpp"
#include "host/memory.hpp"

namespace onnxport {
namespace {

/// Above that much the time is worth telling before it passes.
constexpr uint64_t worth_predicting = 500'000'000;

std::vector<std::shared_ptr<const MappedFile>> files_of(const std::vector<GraphToExport>& graphs) {
  std::vector<std::shared_ptr<const MappedFile>> files;
  std::set<const MappedFile*> known;
  for (const GraphToExport& graph : graphs) {
    for (const Definition* definition : graph.definitions) {
      for (const ir::Value& value : definition->graph.values) {
        if (value.origin != ir::Origin::weight || value.weight->stored->file == nullptr) continue;
        if (known.insert(value.weight->stored->file.get()).second) files.push_back(value.weight->stored->file);
      }
    }
  }
  return files;
}

/// A few names, and how many more there are.
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t most = 4;
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(std::min(most, names.size())));
  const std::string text = fmt::format("{}", fmt::join(first, ", "));
  return names.size() > most ? fmt::format("{} and {} more", text, names.size() - most) : text;
}

}  // namespace

ir::DType dtype_named(const std::string& name) {
  if (name == "fp16") return ir::DType::f16;
  return name == "bf16" ? ir::DType::bf16 : ir::DType::f32;
}

void check_weight_storage(const ExportArguments& arguments) {
  const auto meaningless = [](const std::string& option, const std::string& reason) {
    throw Error(Failure::usage, option + " has no meaning with " + reason, "leave one of the two out");
  };
  if (arguments.weights == "embed") {
    if (arguments.external_data)
      meaningless("--external-data", "--weights embed, which keeps all weights in the model's file");
    if (!arguments.data_name.empty())
      meaningless("--data-name", "--weights embed, which keeps all weights in the model's file");
  }
  if (arguments.weights == "link" && arguments.external_data)
    meaningless("--external-data", "--weights link, which leaves the weights in the checkpoint's file");
  const std::filesystem::path name = arguments.data_name;
  if (!name.empty() && (name.has_parent_path() || name == "." || name == "..")) {
    throw Error(Failure::usage, "--data-name " + arguments.data_name + " is not the name of a file",
                "give a name without folders; the file lies beside the model");
  }
}

void choose_weight_storage(const ExportArguments& arguments, const WeightsToStore& weights, const StagedOutput& output,
                           ExportOptions& options) {
  options.dtype = dtype_named(arguments.dtype);
  options.data_file = arguments.data_name;
  // Decoders of several files hold the same weights: in a data file beside them these lie once.
  const bool shares = arguments.layout == "split";
  if (shares && options.data_file.empty()) options.data_file = "model.onnx_data";
  const uint64_t bytes = weights.bytes / sizeof(float) * ir::size_of(options.dtype);
  options.external_data =
      arguments.external_data || !arguments.data_name.empty() ||
      (arguments.weights != "embed" && (shares || OnnxConfig::use_external_data_format(bytes / sizeof(float))));
  if (arguments.weights == "link") options.linked = link_files(files_of(weights.graphs), output);
  if (arguments.max_memory) options.memory = tile_memory(*arguments.max_memory);
}

uint64_t announce_files(const std::vector<ExportedFile>& files, const WeightsToStore& weights,
                        const StagedOutput& output, Console& console) {
  uint64_t bytes = 0;
  for (const ExportedFile& file : files) bytes += file.bytes;
  console.result()["planned_bytes"] = bytes;
  output.require_space(bytes);
  if (bytes < worth_predicting) return bytes;
  const double seconds = predict_seconds(bytes, files_of(weights.graphs), output.folder());
  console.result()["predicted_seconds"] = seconds;
  console.line(fmt::format(
      "to write: {}, in about {}; {} are free", format_bytes(bytes),
      seconds < 90 ? fmt::format("{:.0f} s", std::max(1.0, seconds)) : fmt::format("{:.0f} minutes", seconds / 60),
      format_bytes(output.free_space())));
  return bytes;
}

void report_weights(const ExportResult& result, const ExportOptions& options, Console& console) {
  for (const auto& [gone, kept] : result.tied)
    console.note(fmt::format("{} holds the bytes of {}: written once", gone, kept));
  if (options.linked.empty()) return;
  std::vector<std::string> files;
  for (const auto& [file, location] : options.linked) files.push_back(location);
  std::sort(files.begin(), files.end());
  console.result()["linked"] = files;
  console.line("weights: in the checkpoint's own " + listed(files));
  if (result.not_linked.empty()) return;
  console.result()["not_linked"] = result.not_linked;
  console.note(fmt::format("{} weights are not in the checkpoint as the graph needs them and were written: {}",
                           result.not_linked.size(), listed(result.not_linked)));
}

}  // namespace onnxport

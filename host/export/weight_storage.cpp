// SPDX-License-Identifier: Apache-2.0
#include "host/export/weight_storage.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <set>

#include "core/error.hpp"
#include "core/output/linking.hpp"
#include "core/output/throughput.hpp"
#include "host/process/memory.hpp"

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

/// A file that is read would be gone once the one of the same name is delivered.
void require_other_name(const std::string& data_file, const WeightsToStore& weights, const StagedOutput& output) {
  if (data_file.empty()) return;
  const std::filesystem::path place = output.final_folder() / data_file;
  for (const auto& file : files_of(weights.graphs)) {
    std::error_code ignored;
    if (!std::filesystem::equivalent(place, file->path(), ignored)) continue;
    throw Error(
        Failure::usage,
        fmt::format("--data-name {}: {} is the checkpoint's own file, which would be lost", data_file, place.string()),
        "choose another name, or another output; --weights link writes a model that refers to this file");
  }
}

}  // namespace

void choose_weight_storage(const ExportPlan& plan, const WeightsToStore& weights, const StagedOutput& output,
                           ExportOptions& options) {
  const WeightPlan& wanted = plan.weights;
  options.dtype = wanted.dtype;
  options.data_file = wanted.data_name;
  options.data_piece = plan.layout->data_piece;
  const bool shares = !plan.layout->shared_data_file.empty();
  if (shares && options.data_file.empty()) options.data_file = plan.layout->shared_data_file;
  const uint64_t bytes = weights.bytes / sizeof(float) * ir::size_of(options.dtype);
  const bool is_too_large = OnnxConfig::use_external_data_format(bytes / sizeof(float));
  options.external_data = wanted.external_data || !wanted.data_name.empty() ||
                          (wanted.place != WeightPlace::embed && (shares || is_too_large));
  require_other_name(options.data_file, weights, output);
  if (wanted.place == WeightPlace::link) options.linked = link_files(files_of(weights.graphs), output);
  if (plan.max_memory) options.memory = tile_memory(*plan.max_memory);
}

WriteForecast forecast_of(const std::vector<ExportedFile>& files) {
  WriteForecast forecast;
  for (const ExportedFile& file : files) forecast.bytes += file.bytes;
  return forecast;
}

void predict_time(WriteForecast& forecast, const WeightsToStore& weights, const StagedOutput& output) {
  output.require_space(forecast.bytes);
  if (forecast.bytes < worth_predicting) return;
  forecast.seconds = predict_seconds(forecast.bytes, files_of(weights.graphs), output.folder());
  forecast.free_bytes = output.free_space();
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Where an export keeps its weights, and what writing them takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/export/export.hpp"
#include "core/output/staging.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {

/// An export's graphs and the bytes of their weights in f32.
struct WeightsToStore {
  const std::vector<GraphToExport>& graphs;
  uint64_t bytes;
};

/// Fills in the options that say where weights go, and makes the links of --weights link.
void choose_weight_storage(const ExportPlan& plan, const WeightsToStore& weights, const StagedOutput& output,
                           ExportOptions& options);

/// What will be written, and about how long that takes where it is worth telling.
struct WriteForecast {
  uint64_t bytes = 0;
  std::optional<double> seconds{};
  uint64_t free_bytes = 0;
};

WriteForecast forecast_of(const std::vector<ExportedFile>& files);
/// Adds the time, of which a sample is taken. Throws Error(output) where the disk has less room.
void predict_time(WriteForecast& forecast, const WeightsToStore& weights, const StagedOutput& output);

}  // namespace onnxport

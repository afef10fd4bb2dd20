// SPDX-License-Identifier: Apache-2.0
// Where an export keeps its weights: --weights, --external-data, --data-name, --dtype.
#pragma once

#include <cstdint>
#include <string>

#include "core/export/export.hpp"
#include "core/output/staging.hpp"
#include "host/arguments.hpp"
#include "host/console.hpp"

namespace onnxport {

/// The type that --dtype names ("fp16"); f32 for "fp32" and where nothing is said.
ir::DType dtype_named(const std::string& name);

/// Throws Error(usage) for combinations without a meaning and for a data file's name that leads elsewhere.
void check_weight_storage(const ExportArguments& arguments);

/// An export's graphs and the bytes of their weights in f32.
struct WeightsToStore {
  const std::vector<GraphToExport>& graphs;
  uint64_t bytes;
};

/// Fills in the options that say where weights go, and makes the links of --weights link.
void choose_weight_storage(const ExportArguments& arguments, const WeightsToStore& weights, const StagedOutput& output,
                           ExportOptions& options);

/// Says what will be written and about how long that takes, and throws Error(output) where the disk has less room.
/// Yields the bytes.
uint64_t announce_files(const std::vector<ExportedFile>& files, const WeightsToStore& weights,
                        const StagedOutput& output, Console& console);

/// Says what became of the weights: linked, tied, written beside.
void report_weights(const ExportResult& result, const ExportOptions& options, Console& console);

}  // namespace onnxport

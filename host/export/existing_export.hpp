// SPDX-License-Identifier: Apache-2.0
// What an earlier run left where an export would write.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/package/layout.hpp"
#include "host/model/selection.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {

/// An export as it would be made.
struct ExportToRepeat {
  const ExportPlan& plan;
  const Selection& selection;
  const std::filesystem::path& checkpoint;
  int64_t opset;
};

/// The folder and the model files of an export.
struct ExportedFiles {
  std::filesystem::path folder;
  std::vector<GraphFile> graphs;
};

/// Where the files of an export will be; touches nothing.
ExportedFiles files_of(const ExportPlan& plan, const OnnxConfig& config);

/// Why the files that are there are not what the export would write: one is missing or cut off, was exported with other
/// options or by another version of the plugin, differed when it was validated, is older than the checkpoint, or is no
/// longer the checkpoint's. Nothing where they are. Of weights no bytes are read.
std::optional<std::string> reason_to_export(const ExportToRepeat& wanted, const ExportedFiles& files);

/// Writes into a model that its validation found differences, so that it is not taken for a good one later.
void mark_as_differing(const std::filesystem::path& model);

}  // namespace onnxport

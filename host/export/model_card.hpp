// SPDX-License-Identifier: Apache-2.0
// The README.md of an export that is to be published.
#pragma once

#include "host/export/write_export.hpp"

namespace onnxport {

/// Its name beside the files.
inline constexpr const char* model_card_file = "README.md";

/// Throws Error(usage) where the folder has a README.md that is no card of an earlier export: a checkpoint's own is its
/// author's.
void require_card_place(const std::filesystem::path& folder);

/// A model card that was written.
struct ModelCard {
  std::filesystem::path file;
  std::filesystem::path folder;  // to publish
};

/// Writes README.md into the staging folder. `validation` is what validation reports to programs
/// (host/report/json.hpp); null where it did not run. Throws as write_package_files() does.
ModelCard write_model_card(const ExportPlan& plan, const ExportSource& source, const WrittenExport& written,
                           const Json& validation, const StagedOutput& output);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// An imported model against its original.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/progress.hpp"
#include "host/import/import_inputs.hpp"
#include "host/validation/tolerance.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// The model as one that was defined.
Definition definition_of(const ImportedScript& imported);

/// The sets that the original computes; `refused` is told what it says of others. Throws Error(usage) where it refuses
/// the usual lengths, and Error(differs) where an axis can have no other length than that, with the place where a size
/// was written down while the module was made.
std::vector<ValidationInputs> accepted_sets(const ImportPlan& plan, const ImportedScript& imported,
                                            const std::vector<ImportInputs>& sets, std::vector<std::string>& refused);

/// The written file against the original on these sets, and against the recorded cases.
ExportValidation judge_import(const ImportPlan& plan, const ImportedScript& imported, const std::filesystem::path& file,
                              const std::vector<ValidationInputs>& sets, const Progress& progress);

}  // namespace onnxport

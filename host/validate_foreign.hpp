// SPDX-License-Identifier: Apache-2.0
// Files that another exporter wrote, against the definition of their checkpoint's model.
#pragma once

#include <filesystem>
#include <vector>

#include "host/plan/validate_plan.hpp"
#include "host/process/console.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// Finds feature and options under which the definition takes what the files take, maps their names, and compares every
/// file that a layout knows. What is left out, and what can be seen to be wrong with the files without running them, is
/// noted. Throws Error(usage) where no feature fits, and as an export does.
ExportValidation validate_foreign(const ValidatePlan& plan, const std::vector<std::filesystem::path>& files,
                                  Console& console);

}  // namespace onnxport

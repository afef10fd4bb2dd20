// SPDX-License-Identifier: Apache-2.0
// What --dry-run tells.
#pragma once

#include "host/export/planned_export.hpp"
#include "host/process/console.hpp"

namespace onnxport {

void print_text(const PlannedExport& planned, Console& console);
void fill_json(const PlannedExport& planned, Json& json);

}  // namespace onnxport

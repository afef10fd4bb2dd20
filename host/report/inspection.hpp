// SPDX-License-Identifier: Apache-2.0
// What was found in an ONNX file, as lines and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/inspect/inspection.hpp"
#include "host/process/console.hpp"

namespace onnxport {

/// Modules are told down to `depth`, repeated ones together.
void print_text(const inspect::Inspection& found, int depth, Console& console);
void fill_json(const inspect::Inspection& found, nlohmann::ordered_json& json);

/// "ai.onnx" for the default domain.
std::string domain_name(const std::string& domain);
/// "22.4 G": a count as people read it.
std::string format_count(double count);

}  // namespace onnxport

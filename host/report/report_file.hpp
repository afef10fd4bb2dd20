// SPDX-License-Identifier: Apache-2.0
// --report FILE: what a command did and found, as a file to keep. docs/report.schema.json says what JSON holds.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace onnxport {

/// Before the work begins: throws Error(usage) for a name that ends neither in .html nor in .json, that of a file which
/// is no report, and one in a folder that is not there; Error(output) where nothing can be written.
void check_report_name(const std::filesystem::path& file);

/// Writes the object that --json prints, with its facts (run_facts.hpp), as the file's ending says. Whole or not at
/// all. Throws Error(output).
void write_report(const std::filesystem::path& file, const nlohmann::ordered_json& report);

/// The page: tables and plots of the same object, without scripts and other files.
std::string report_page(const nlohmann::ordered_json& report);

}  // namespace onnxport

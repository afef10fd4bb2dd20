// SPDX-License-Identifier: Apache-2.0
// What a report tells beyond what a command found: the call, the files that went in and came out with their sums, the
// time that steps took, and memory.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace onnxport {

/// Notes in the object that a step has ended now, by the seconds since the program began.
void note_time(const char* step, nlohmann::ordered_json& result);

/// Adds call, machine, sums, times and memory to a command's object. Reads all files that it names.
void fill_run_facts(const std::vector<std::string>& words, nlohmann::ordered_json& result);
/// Whether that was done.
bool is_run_told(const nlohmann::ordered_json& result);

}  // namespace onnxport

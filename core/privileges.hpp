// SPDX-License-Identifier: Apache-2.0
// Whether who called this program may decide on what it runs.
#pragma once

#include <optional>
#include <string>

namespace onnxport {

/// Whether the process runs with other rights than its caller has (set-user-id, set-group-id, file capabilities); then
/// nothing of the environment decides on code.
bool has_elevated_privileges();

/// A variable of the environment that names code to run: nullopt where it is not set, empty, or not to be heeded.
std::optional<std::string> variable_for_code(const char* name);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What to say where the system refuses to write.
#pragma once

#include <filesystem>
#include <string>

#include "core/error.hpp"

namespace onnxport {

/// An Error(output) for a failed system call, with errno's reason and what to do about it.
Error output_error(const std::string& what, const std::filesystem::path& path, int reason);
/// What to do where a system call failed for that reason; empty where nothing helps that is known.
std::string output_hint(int reason);

}  // namespace onnxport

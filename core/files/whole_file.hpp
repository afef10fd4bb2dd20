// SPDX-License-Identifier: Apache-2.0
// A small file as it is.
#pragma once

#include <filesystem>
#include <string>

namespace onnxport {

/// Its bytes; none where it cannot be read.
std::string read_whole(const std::filesystem::path& file);

}  // namespace onnxport

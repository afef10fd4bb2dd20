// SPDX-License-Identifier: Apache-2.0
// What a run leaves for later ones to be faster.
#pragma once

#include <filesystem>
#include <string_view>

namespace onnxport {

/// Puts these bytes in the place of the file, whole or not at all, and makes its folder where there is none. A failure
/// costs the next run its time and is not told.
void leave_in_cache(const std::filesystem::path& file, std::string_view bytes);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// How long an export will take, from a sample of what its disks do now.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/files/mapped_file.hpp"

namespace onnxport {

/// Seconds for writing so many bytes into `folder`, read from `files`. Writes and removes a sample of 16 MB, and reads
/// as much of what is not in the page cache. An estimate: where memory for dirty pages runs out, a disk slower than
/// memory decides.
double predict_seconds(uint64_t bytes, const std::vector<std::shared_ptr<const MappedFile>>& files,
                       const std::filesystem::path& folder);

}  // namespace onnxport

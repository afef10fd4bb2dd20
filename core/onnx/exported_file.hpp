// SPDX-License-Identifier: Apache-2.0
// A file of an export, apart from what writes it: those who report it need no protocol buffers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace onnxport {

struct Weight;

/// A file that was written, or will be.
struct ExportedFile {
  std::filesystem::path path;
  uint64_t bytes = 0;
};

/// Where the bytes of a weight lie: in which file below the folder, from which byte on.
struct PlacedWeight {
  std::shared_ptr<const Weight> weight;
  std::string file;
  uint64_t offset = 0;
};
using PlacedWeights = std::vector<PlacedWeight>;

}  // namespace onnxport

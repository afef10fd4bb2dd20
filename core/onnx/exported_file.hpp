// SPDX-License-Identifier: Apache-2.0
// A file of an export, apart from what writes it: those who report it need no protocol buffers.
#pragma once

#include <cstdint>
#include <filesystem>

namespace onnxport {

/// A file that was written, or will be.
struct ExportedFile {
  std::filesystem::path path;
  uint64_t bytes = 0;
};

}  // namespace onnxport

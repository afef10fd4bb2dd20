// SPDX-License-Identifier: Apache-2.0
// A temporary folder.
#pragma once

#include <filesystem>

namespace onnxport {

/// A folder below the system's temporary one, which is removed with all it holds. Throws Error(output) where none can
/// be made.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace onnxport

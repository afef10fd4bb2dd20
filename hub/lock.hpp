// SPDX-License-Identifier: Apache-2.0
// The locks of a Hugging Face cache: an flock on .locks/models--org--name/ETAG.lock, as huggingface_hub takes it.
#pragma once

#include <filesystem>
#include <functional>

namespace onnxport::hub {

/// Held until the object's end. The file stays, since removing it would split those who wait for it.
class FileLock {
 public:
  /// Waits, and calls `waiting` every tenth of a second meanwhile; what that throws ends the wait. Throws
  /// Error(checkpoint) where the file cannot be made. A file system without locks gives one that holds nothing off: the
  /// file names of a download are then all that two processes share.
  FileLock(const std::filesystem::path& path, const std::function<void()>& waiting);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace onnxport::hub

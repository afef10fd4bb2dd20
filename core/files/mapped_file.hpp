// SPDX-License-Identifier: Apache-2.0
// A file that is read over a mapping, or what a library holds in memory in place of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "core/files/bus_guard.hpp"

namespace onnxport {

/// One mapped file of a checkpoint. Shared by the views into it; unmapped with the last.
class MappedFile {
 public:
  /// Maps the file read-only. Throws Error(checkpoint) where it cannot be opened or is empty.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  /// Bytes that somebody else keeps in memory, as long as `owner` lives. `name` is for messages.
  static std::shared_ptr<const MappedFile> of_memory(std::string name, std::span<const std::byte> bytes,
                                                     std::shared_ptr<const void> owner);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }
  /// Gives back pages that were read and are not needed soon. They stay in the page cache, and no longer count as
  /// memory of this process.
  void forget(uint64_t offset, uint64_t bytes) const;
  /// The open descriptor, for copy_file_range; -1 of bytes in memory.
  int descriptor() const { return descriptor_; }
  /// Throws Error(checkpoint) where size or modification time differ from those at open(), or where a part could not be
  /// read. Until then a file that was cut off reads as zeros there.
  void check_unchanged() const;

 private:
  MappedFile() = default;
  std::string path_;
  std::span<const std::byte> bytes_;
  int descriptor_ = -1;
  int64_t modified_ns_ = 0;
  std::unique_ptr<BusGuard> guard_;
  std::shared_ptr<const void> owner_;  // of bytes in memory
};

/// Where files of a checkpoint lie below the models' folder, for models that refer to weights in them.
using LinkedFiles = std::map<const MappedFile*, std::string>;

}  // namespace onnxport

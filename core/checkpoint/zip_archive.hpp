// SPDX-License-Identifier: Apache-2.0
// Where the entries of a zip archive lie, so that stored ones are views of the mapped file.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace onnxport {

/// What to do about an archive of torch.save that cannot be read.
inline constexpr const char* broken_archive_hint = "the file is damaged or is no PyTorch file; download it again";

/// The directory of a zip archive (zip64 too). Entries are not copied; the bytes must outlive the spans.
class ZipArchive {
 public:
  /// `path` is for messages. Throws Error(checkpoint) where the bytes are no zip archive, an entry is encrypted, there
  /// twice, or lies outside the file.
  ZipArchive(std::span<const std::byte> bytes, std::string path);

  bool has(const std::string& name) const { return entries_.contains(name); }
  /// An entry's bytes. Throws Error(checkpoint) where there is no such entry, or it is compressed.
  std::span<const std::byte> entry(const std::string& name) const;
  /// The one entry in a folder of the first level that is called so, "folder/data.pkl"; empty where there is none.
  /// Throws Error(checkpoint) where there are several.
  std::string find_in_folder(const std::string& name) const;

 private:
  struct Entry {
    std::span<const std::byte> bytes;
    bool stored;  // as it is, not compressed
  };
  std::string path_;
  std::map<std::string, Entry> entries_;
};

}  // namespace onnxport

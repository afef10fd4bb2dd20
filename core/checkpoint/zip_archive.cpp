// SPDX-License-Identifier: Apache-2.0
// Our own reader of the directory: libzip does not tell where an entry's bytes lie, and the minizip of Debian 12
// misreads entries above 4 GB.
#include "core/checkpoint/zip_archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr uint32_t in_extra_field = 0xffffffff;  // what a 32-bit field says of a number that lies in the zip64 field

/// Fixed-size records, each behind its signature. Offsets into them are those of the format's description.
struct Record {
  std::string_view name, signature;
  uint64_t size;
};
constexpr Record local_header{"header of an entry", "PK\x03\x04", 30};
constexpr Record directory_entry{"directory entry", "PK\x01\x02", 46};
constexpr Record directory_end{"end of the directory", "PK\x05\x06", 22};
constexpr Record wide_directory_end{"zip64 end of the directory", "PK\x06\x06", 56};
constexpr Record wide_locator{"zip64 locator", "PK\x06\x07", 20};

/// A record's bytes, from which its numbers are read.
struct Fields {
  std::string_view bytes;
  template <class T>
  T at(size_t offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
};

struct Directory {
  uint64_t offset, entries;
};

/// What the directory says of an entry.
struct Description {
  std::string name;
  uint16_t flags, method;
  uint64_t stored_bytes, bytes, offset;
};

class DirectoryReader {
 public:
  DirectoryReader(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Failure::checkpoint, path_ + ": " + fmt::format(text, std::forward<Args>(args)...),
                broken_archive_hint);
  }

  std::string_view span(uint64_t offset, uint64_t length, std::string_view what) const {
    if (offset > bytes_.size() || length > bytes_.size() - offset)
      refuse("the {} would lie at [{}, {} + {}) of a file of {} bytes", what, offset, offset, length, bytes_.size());
    return bytes_.substr(offset, length);
  }
  Fields record(const Record& kind, uint64_t offset) const {
    const std::string_view found = span(offset, kind.size, kind.name);
    if (!found.starts_with(kind.signature)) refuse("there is no {} at byte {}", kind.name, offset);
    return {found};
  }

  Directory find() const {
    // The end is followed by a comment of at most 65535 bytes, of which it has the length.
    const uint64_t size = bytes_.size();
    std::optional<uint64_t> end;
    for (uint64_t back = directory_end.size; back <= std::min<uint64_t>(size, directory_end.size + 65535); ++back) {
      if (!bytes_.substr(size - back).starts_with(directory_end.signature)) continue;
      if (Fields{bytes_.substr(size - back)}.at<uint16_t>(20) != back - directory_end.size) continue;
      end = size - back;
      break;
    }
    if (!end) refuse("its zip directory is missing; the file may be cut off");
    if (*end >= wide_locator.size && bytes_.substr(*end - wide_locator.size).starts_with(wide_locator.signature)) {
      const Fields locator = record(wide_locator, *end - wide_locator.size);
      const Fields wide = record(wide_directory_end, locator.at<uint64_t>(8));
      return {wide.at<uint64_t>(48), wide.at<uint64_t>(32)};
    }
    const Fields fields = record(directory_end, *end);
    return {fields.at<uint32_t>(16), fields.at<uint16_t>(10)};
  }

  /// The entry at `offset`, which moves on to the next one.
  Description next(uint64_t& offset) const {
    const Fields fields = record(directory_entry, offset);
    const auto name_bytes = fields.at<uint16_t>(28), extra_bytes = fields.at<uint16_t>(30);
    const uint64_t name_at = offset + directory_entry.size;
    Description entry{std::string(span(name_at, name_bytes, "name of an entry")),
                      fields.at<uint16_t>(8),
                      fields.at<uint16_t>(10),
                      fields.at<uint32_t>(20),
                      fields.at<uint32_t>(24),
                      fields.at<uint32_t>(42)};
    read_wide(entry, span(name_at + name_bytes, extra_bytes, "extra field of an entry"));
    offset = name_at + name_bytes + extra_bytes + fields.at<uint16_t>(32);
    return entry;
  }

  /// Where an entry's bytes begin: behind its own header, whose lengths are not those of the directory.
  uint64_t data_offset(const Description& entry) const {
    const Fields header = record(local_header, entry.offset);
    const auto name_bytes = header.at<uint16_t>(26), extra_bytes = header.at<uint16_t>(28);
    if (span(entry.offset + local_header.size, name_bytes, "name of an entry") != entry.name)
      refuse("directory and header of the entry '{}' differ", entry.name);
    return entry.offset + local_header.size + name_bytes + extra_bytes;
  }

 private:
  /// The zip64 field holds, in this order, those of the numbers that their own fields have no room for.
  void read_wide(Description& entry, std::string_view extra) const {
    constexpr uint16_t wide_field = 1;
    while (extra.size() >= 4) {
      const Fields head{extra};
      const size_t length = head.at<uint16_t>(2);
      if (length > extra.size() - 4) break;
      std::string_view values = extra.substr(4, length);
      extra.remove_prefix(4 + length);
      if (head.at<uint16_t>(0) != wide_field) continue;
      for (uint64_t* number : {&entry.bytes, &entry.stored_bytes, &entry.offset}) {
        if (*number != in_extra_field) continue;
        if (values.size() < sizeof *number) refuse("the zip64 field of the entry '{}' is too short", entry.name);
        *number = Fields{values}.at<uint64_t>(0);
        values.remove_prefix(sizeof *number);
      }
      return;
    }
  }

  std::string_view bytes_;
  const std::string& path_;
};

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string path) : path_(std::move(path)) {
  const DirectoryReader reader({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path_);
  const Directory directory = reader.find();
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const Description entry = reader.next(at);
    if ((entry.flags & 1) != 0) reader.refuse("the entry '{}' is encrypted", entry.name);
    const bool stored = entry.method == 0;
    if (stored && entry.bytes != entry.stored_bytes) {
      reader.refuse("the entry '{}' is stored in {} bytes and would have {}", entry.name, entry.stored_bytes,
                    entry.bytes);
    }
    const uint64_t offset = reader.data_offset(entry);
    reader.span(offset, entry.stored_bytes, fmt::format("entry '{}'", entry.name));
    if (!entries_.emplace(entry.name, Entry{bytes.subspan(offset, entry.stored_bytes), stored}).second)
      reader.refuse("the entry '{}' is there twice", entry.name);
  }
}

std::span<const std::byte> ZipArchive::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw Error(Failure::checkpoint, fmt::format("{} has no entry '{}'", path_, name), broken_archive_hint);
  if (!found->second.stored) {
    throw Error(
        Failure::checkpoint, fmt::format("{}: the entry '{}' is compressed", path_, name),
        "torch.save stores its entries as they are; save the checkpoint again with it, or as model.safetensors");
  }
  return found->second.bytes;
}

std::string ZipArchive::find_in_folder(const std::string& name) const {
  std::string found;
  for (const auto& [full, entry] : entries_) {
    const size_t slash = full.find('/');
    if (slash == std::string::npos || full.compare(slash + 1, std::string::npos, name) != 0) continue;
    if (!found.empty())
      throw Error(Failure::checkpoint, fmt::format("{} holds both '{}' and '{}'", path_, found, full),
                  broken_archive_hint);
    found = full;
  }
  return found;
}

}  // namespace onnxport

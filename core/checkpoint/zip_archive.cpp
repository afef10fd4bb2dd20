// SPDX-License-Identifier: Apache-2.0
// Over minizip and not libzip, since minizip alone tells where in the file an entry's bytes begin.
#include "core/checkpoint/zip_archive.hpp"

#include <fmt/format.h>
#include <unzip.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr const char* broken_hint = "the file is damaged or is no PyTorch file; download it again";

/// minizip reads through these functions; here they read from memory.
struct MemoryFile {
  std::span<const std::byte> bytes;
  uint64_t at = 0;
};

MemoryFile& memory(voidpf opaque) {
  return *static_cast<MemoryFile*>(opaque);
}

voidpf open_memory(voidpf opaque, const void*, int) {
  return opaque;
}
uLong read_memory(voidpf opaque, voidpf, void* buffer, uLong size) {
  MemoryFile& file = memory(opaque);
  const uint64_t count = std::min<uint64_t>(size, file.bytes.size() - file.at);
  if (count > 0) std::memcpy(buffer, file.bytes.data() + file.at, count);
  file.at += count;
  return static_cast<uLong>(count);
}
uLong write_memory(voidpf, voidpf, const void*, uLong) {
  return 0;
}
ZPOS64_T tell_memory(voidpf opaque, voidpf) {
  return memory(opaque).at;
}
long seek_memory(voidpf opaque, voidpf, ZPOS64_T offset, int origin) {
  MemoryFile& file = memory(opaque);
  const uint64_t base = origin == ZLIB_FILEFUNC_SEEK_CUR   ? file.at
                        : origin == ZLIB_FILEFUNC_SEEK_END ? file.bytes.size()
                                                           : 0;
  const uint64_t to = base + offset;  // an offset back from the end arrives as a large number
  if (to > file.bytes.size()) return -1;
  file.at = to;
  return 0;
}
int close_memory(voidpf, voidpf) {
  return 0;
}
int no_error(voidpf, voidpf) {
  return 0;
}

struct Closer {
  void operator()(void* file) const { unzClose(file); }
};

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {
  const auto refuse = [this](const std::string& reason) {
    throw Error(Failure::checkpoint, fmt::format("{}: {}", path_, reason), broken_hint);
  };
  MemoryFile memory_file{bytes_};
  zlib_filefunc64_def functions{open_memory, read_memory,  write_memory, tell_memory,
                                seek_memory, close_memory, no_error,     &memory_file};
  const std::unique_ptr<void, Closer> zip(unzOpen2_64(path_.c_str(), &functions));
  if (zip == nullptr) refuse("its zip directory is missing or damaged; the file may be cut off");
  unz_global_info64 totals{};
  if (unzGetGlobalInfo64(zip.get(), &totals) != UNZ_OK) refuse("its zip directory cannot be read");
  int state = totals.number_entry == 0 ? UNZ_END_OF_LIST_OF_FILE : unzGoToFirstFile(zip.get());
  for (; state == UNZ_OK; state = unzGoToNextFile(zip.get())) {
    unz_file_info64 info{};
    std::string name(65536, '\0');  // the format's longest
    if (unzGetCurrentFileInfo64(zip.get(), &info, name.data(), name.size(), nullptr, 0, nullptr, 0) != UNZ_OK)
      refuse("its zip directory is damaged");
    name.resize(info.size_filename);
    if ((info.flag & 1) != 0) refuse(fmt::format("the entry '{}' is encrypted", name));
    int method = 0, level = 0;
    if (unzOpenCurrentFile2(zip.get(), &method, &level, 1) != UNZ_OK)
      refuse(fmt::format("directory and header of the entry '{}' differ", name));
    const uint64_t offset = unzGetCurrentFileZStreamPos64(zip.get()), length = info.compressed_size;
    unzCloseCurrentFile(zip.get());
    if (offset > bytes_.size() || length > bytes_.size() - offset) {
      refuse(fmt::format("the entry '{}' would lie at [{}, {} + {}) of a file of {} bytes", name, offset, offset,
                         length, bytes_.size()));
    }
    const bool stored = method == 0;
    if (stored && info.uncompressed_size != length)
      refuse(
          fmt::format("the entry '{}' is stored in {} bytes and would have {}", name, length, info.uncompressed_size));
    if (!entries_.emplace(name, Entry{bytes_.subspan(offset, length), stored}).second)
      refuse(fmt::format("the entry '{}' is there twice", name));
  }
  if (state != UNZ_END_OF_LIST_OF_FILE) refuse("its zip directory is damaged");
}

std::span<const std::byte> ZipArchive::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw Error(Failure::checkpoint, fmt::format("{} has no entry '{}'", path_, name), broken_hint);
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
    if (!found.empty()) {
      throw Error(Failure::checkpoint, fmt::format("{} holds both '{}' and '{}'", path_, found, full), broken_hint);
    }
    found = full;
  }
  return found;
}

}  // namespace onnxport

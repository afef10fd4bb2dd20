// SPDX-License-Identifier: Apache-2.0
#include "core/files/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/files/content.hpp"
#include "core/out_of_memory.hpp"

namespace onnxport {
namespace {

int64_t modified_ns_of(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->path_ = path;
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // not to wait for a pipe's other end
  struct stat info {};
  if (file->descriptor_ < 0 || ::fstat(file->descriptor_, &info) != 0) {
    throw Error(Failure::checkpoint, fmt::format("{} cannot be read: {}", path, std::strerror(errno)),
                "check that the file is there and readable");
  }
  if (!S_ISREG(info.st_mode))
    throw Error(Failure::checkpoint, fmt::format("{} is not a regular file", path), "give a checkpoint's own files");
  if (info.st_size == 0) {
    throw Error(Failure::checkpoint, fmt::format("{} is empty", path), "download the file again");
  }
  void* map = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file->descriptor_, 0);
  if (map == MAP_FAILED && errno == ENOMEM)
    throw OutOfMemory(fmt::format("{} cannot be mapped: there is no room for it in memory", path));
  if (map == MAP_FAILED)
    throw Error(Failure::checkpoint, fmt::format("{} cannot be mapped: {}", path, std::strerror(errno)),
                "check that it lies on a local disk");
  file->bytes_ = {static_cast<const std::byte*>(map), static_cast<size_t>(info.st_size)};
  file->modified_ns_ = modified_ns_of(info);
  constexpr std::string_view pointer = git_lfs_pointer.begin;
  if (file->bytes_.size() >= pointer.size() && std::memcmp(map, pointer.data(), pointer.size()) == 0)
    refuse_other_content(file->bytes_, path);
  file->guard_ = std::make_unique<BusGuard>(file->bytes_);
  return file;
}

std::shared_ptr<const MappedFile> MappedFile::of_memory(std::string name, std::span<const std::byte> bytes,
                                                        std::shared_ptr<const void> owner) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->path_ = std::move(name);
  file->bytes_ = bytes;
  file->owner_ = std::move(owner);
  return file;
}

MappedFile::~MappedFile() {
  if (owner_ != nullptr) return;
  guard_.reset();
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::forget(uint64_t offset, uint64_t bytes) const {
  if (owner_ != nullptr) return;  // pages of memory do not come back
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = (offset + page - 1) / page * page, end = (offset + bytes) / page * page;
  if (begin >= end || end > bytes_.size()) return;
  ::madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin, MADV_DONTNEED);
}

void MappedFile::check_unchanged() const {
  if (owner_ != nullptr) return;
  struct stat info {};
  if (::fstat(descriptor_, &info) == 0 && static_cast<size_t>(info.st_size) == bytes_.size() &&
      modified_ns_of(info) == modified_ns_) {
    if (!guard_ || !guard_->hit()) return;
    throw Error(Failure::checkpoint, fmt::format("a part of {} could not be read: its disk failed", path_),
                "check the disk, or copy the checkpoint elsewhere first");
  }
  throw Error(Failure::checkpoint, fmt::format("{} changed while it was read", path_),
              "run the export again when nothing writes to the checkpoint");
}

}  // namespace onnxport

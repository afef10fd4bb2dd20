// SPDX-License-Identifier: Apache-2.0
#include "core/files/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/files/output_error.hpp"

namespace onnxport {

OutputFile::OutputFile(std::filesystem::path path, uint64_t bytes) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot create", errno);
  if (bytes == 0) return;
  while (::fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) fail("cannot take the space for", errno);
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) fail("cannot give its size to", errno);
    return;
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("cannot write", count < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void OutputFile::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) fail("cannot write", errno);
}

/// A constructor that throws runs no destructor, so the file is closed here.
void OutputFile::fail(const char* what, int reason) {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  throw output_error(what, path_, reason);
}

}  // namespace onnxport

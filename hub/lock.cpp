// SPDX-License-Identifier: Apache-2.0
#include "hub/lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "hub/cache.hpp"

namespace onnxport::hub {
namespace {

/// Whether the locked file is still the one of that name; somebody may have cleaned the folder while we waited.
bool is_current(int descriptor, const std::filesystem::path& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::function<void()>& waiting) {
  make_folder(path.parent_path());
  for (;;) {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0) throw cache_error("cannot create the lock", path, errno);
    try {
      while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EACCES && errno != EINTR) return;
        waiting();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
    if (is_current(descriptor_, path)) return;
    ::close(descriptor_);
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace onnxport::hub

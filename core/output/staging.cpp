// SPDX-License-Identifier: Apache-2.0
#include "core/output/staging.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>

#include "core/activity.hpp"
#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/format_bytes.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

constexpr const char* staging_prefix = ".onnxport-";

/// The process that a staging folder's name tells, or 0.
pid_t owner_of(const std::string& name) {
  pid_t pid = 0;
  const char* begin = name.data() + std::strlen(staging_prefix);
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(begin, end, pid);
  return error == std::errc() && rest != end && *rest == '-' ? pid : 0;
}

/// Whether nobody is at work in a staging folder. The process id alone does not tell: on a shared disk it may be that
/// of another machine or container. The lock on the folder ends with its process, wherever that runs.
bool is_abandoned(const fs::path& staging, pid_t owner) {
  if (owner == getpid() || kill(owner, 0) == 0 || errno != ESRCH) return false;
  const int descriptor = open(staging.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return false;
  const bool free = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  close(descriptor);
  return free;
}

void remove_abandoned(const fs::path& parent) {
  std::error_code ignored;
  for (fs::directory_iterator entry(parent, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename();
    if (!name.starts_with(staging_prefix)) continue;
    const pid_t owner = owner_of(name);
    std::error_code unremoved;
    if (owner > 0 && is_abandoned(entry->path(), owner)) fs::remove_all(entry->path(), unremoved);
  }
}

}  // namespace

StagedOutput::StagedOutput(const fs::path& target) {
  resolve(target);
  try {
    // A staging beside the folder can be renamed to it; one within can only hand over its files.
    const fs::path parent = existed_ ? folder_ : folder_.parent_path();
    create_parents(parent);
    remove_abandoned(parent);
    create_staging(parent);
  } catch (...) {
    discard();
    throw;
  }
}

StagedOutput::~StagedOutput() {
  discard();
}

void StagedOutput::resolve(const fs::path& target) {
  if (target.empty())
    throw Error(Failure::usage, "the output's name is empty", "name a folder, or a file that ends in .onnx");
  std::error_code reason;
  fs::path path = fs::absolute(target, reason).lexically_normal();
  if (reason) throw output_error("cannot resolve", target, reason.value());
  const bool slash = !path.has_filename();  // "out/" is a folder
  if (slash) path = path.parent_path();
  const fs::file_status status = fs::status(path, reason);
  if (status.type() == fs::file_type::none) throw output_error("cannot write to", path, reason.value());
  if (!slash && path.extension() == ".onnx" && !fs::is_directory(status)) {
    is_folder_ = false;
    model_file_ = path.filename();
    path = path.parent_path();
  } else if (fs::exists(status) && !fs::is_directory(status)) {
    throw Error(Failure::output, path.string() + " exists and is not a folder", output_hint(ENOTDIR));
  }
  folder_ = path;
  existed_ = fs::is_directory(folder_, reason);
}

void StagedOutput::create_parents(const fs::path& folder) {
  std::vector<fs::path> absent;
  std::error_code reason;
  for (fs::path path = folder; !fs::exists(fs::symlink_status(path, reason)); path = path.parent_path()) {
    if (reason && reason.value() != ENOENT) throw output_error("cannot create", folder, reason.value());
    absent.insert(absent.begin(), path);
    if (path == path.parent_path()) break;
  }
  for (const fs::path& path : absent) {
    if (mkdir(path.c_str(), 0777) == 0) {
      created_.push_back(path);
      note_temporary(path, true);
    } else if (errno != EEXIST) {
      throw output_error("cannot create the folder", path, errno);
    }
  }
}

void StagedOutput::create_staging(const fs::path& parent) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const fs::path path = parent / (staging_prefix + std::to_string(getpid()) + "-" + std::to_string(counter++));
    if (mkdir(path.c_str(), 0777) == 0) {
      staging_ = path;
      note_temporary(path);
      break;
    }
    if (errno != EEXIST) throw output_error("cannot write to the folder", parent, errno);
  }
  if (staging_.empty()) throw output_error("cannot write to the folder", parent, EEXIST);
  lock_ = open(staging_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Where the file system has no locks the process id still protects the folder on this machine.
  if (lock_ >= 0) flock(lock_, LOCK_EX | LOCK_NB);
}

void StagedOutput::discard() noexcept {
  std::error_code ignored;
  if (!staging_.empty()) {
    if (fs::remove_all(staging_, ignored); !ignored) forget_temporary(staging_);
  }
  if (lock_ >= 0) close(lock_);
  lock_ = -1;
  for (auto path = created_.rbegin(); path != created_.rend(); ++path) {
    // Only where it is empty; what is in it otherwise, others may still remove.
    if (committed_ || rmdir(path->c_str()) == 0) forget_temporary(*path);
  }
}

uint64_t StagedOutput::free_space() const {
  struct statvfs info {};
  if (statvfs(staging_.c_str(), &info) != 0) return std::numeric_limits<uint64_t>::max();
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

void StagedOutput::require_space(uint64_t bytes) const {
  const uint64_t free = free_space();
  if (bytes <= free) return;
  throw Error(Failure::output,
              "not enough space in " + folder_.string() + ": " + format_bytes(bytes) + " are needed and " +
                  format_bytes(free) + " are free",
              output_hint(ENOSPC));
}

void StagedOutput::commit() {
  if (!existed_) {
    if (std::rename(staging_.c_str(), folder_.c_str()) == 0) {
      committed_ = true;
      forget_temporary(staging_);
      staging_.clear();
      return;
    }
    // Someone has made the folder meanwhile.
    if (errno != EEXIST && errno != ENOTEMPTY) throw output_error("cannot deliver to", folder_, errno);
  }
  move_files();
  committed_ = true;
}

void StagedOutput::move_files() {
  std::vector<fs::path> files;
  std::error_code reason;
  for (fs::recursive_directory_iterator entry(staging_, reason), end; !reason && entry != end;
       entry.increment(reason)) {
    const fs::path name = entry->path().lexically_relative(staging_), destination = folder_ / name;
    std::error_code ignored;
    if (entry->is_directory()) {
      if (mkdir(destination.c_str(), 0777) != 0 && errno != EEXIST)
        throw output_error("cannot create the folder", destination, errno);
      continue;
    }
    // Known before the first file moves, so that nothing is half delivered for this reason.
    if (fs::is_directory(destination, ignored)) throw output_error("cannot write", destination, EISDIR);
    files.push_back(name);
  }
  if (reason) throw output_error("cannot read", staging_, reason.value());
  std::stable_partition(files.begin(), files.end(), [](const fs::path& name) { return name.extension() != ".onnx"; });
  for (const fs::path& name : files) {
    if (std::rename((staging_ / name).c_str(), (folder_ / name).c_str()) != 0)
      throw output_error("cannot write", folder_ / name, errno);
  }
}

}  // namespace onnxport

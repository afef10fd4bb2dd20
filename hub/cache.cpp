// SPDX-License-Identifier: Apache-2.0
#include "hub/cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "hub/names.hpp"

namespace onnxport::hub {
namespace {

namespace fs = std::filesystem;

/// A name beside `path` that no other process uses.
fs::path private_name(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.{}", path.filename().string(), ::getpid());
}

}  // namespace

Repository::Repository(fs::path cache, const std::string& id)
    : cache_(std::move(cache)), folder_(cache_ / repository_folder(id)) {}

std::optional<std::string> Repository::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  std::ifstream file(folder_ / "refs" / revision, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  while (!text.empty() && std::strchr(" \t\r\n", text.back()) != nullptr) text.pop_back();
  return is_commit(text) ? std::optional(text) : std::nullopt;
}

std::vector<std::string> Repository::commits() const {
  std::vector<std::string> names;
  std::error_code reason;
  for (fs::directory_iterator entry(folder_ / "snapshots", reason), end; !reason && entry != end;
       entry.increment(reason)) {
    const std::string name = entry->path().filename();
    if (is_commit(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path Repository::lock_file(const std::string& etag) const {
  return cache_ / ".locks" / folder_.filename() / (etag + ".lock");
}

void Repository::link(const std::string& commit, const std::string& file, const std::string& etag) const {
  const fs::path pointer = snapshot(commit) / file, target = blob(etag);
  make_folder(pointer.parent_path());
  const fs::path relative = target.lexically_relative(pointer.parent_path());
  // Made beside and renamed, since a link that leads nowhere may stand in its place.
  const fs::path fresh = private_name(pointer);
  ::unlink(fresh.c_str());
  if (::symlink(relative.c_str(), fresh.c_str()) == 0) {
    if (std::rename(fresh.c_str(), pointer.c_str()) != 0) throw cache_error("cannot create", pointer, errno);
    return;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) throw cache_error("cannot create", pointer, errno);
  if (std::rename(target.c_str(), pointer.c_str()) != 0) throw cache_error("cannot create", pointer, errno);
}

void Repository::set_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  const fs::path path = folder_ / "refs" / revision;
  make_folder(path.parent_path());
  const fs::path fresh = private_name(path);
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << commit;
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(fresh.c_str());
    throw cache_error("cannot write", path, reason);
  }
}

void Repository::set_absent(const std::string& commit, const std::string& file) const {
  const fs::path path = folder_ / ".no_exist" / commit / file;
  make_folder(path.parent_path());
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw cache_error("cannot write", path, errno);
  ::close(descriptor);
}

bool Repository::is_absent(const std::string& commit, const std::string& file) const {
  std::error_code ignored;
  return fs::exists(folder_ / ".no_exist" / commit / file, ignored);
}

void make_folder(const fs::path& folder) {
  std::error_code reason;
  fs::create_directories(folder, reason);
  if (reason) throw cache_error("cannot create the folder", folder, reason.value());
}

Error cache_error(const std::string& what, const fs::path& path, int reason) {
  std::string hint = "choose another cache with --cache_dir or HF_HUB_CACHE";
  if (reason == ENOSPC || reason == EDQUOT) hint = "free some space, or " + hint;
  if (reason == EACCES || reason == EPERM || reason == EROFS) hint = "make the cache's folder writable, or " + hint;
  return {Failure::checkpoint, fmt::format("{} {}: {}", what, path.string(), std::strerror(reason)), hint};
}

}  // namespace onnxport::hub

// SPDX-License-Identifier: Apache-2.0
#include "hub/download.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "hub/digest.hpp"
#include "hub/lock.hpp"
#include "hub/names.hpp"
#include "hub/refusal.hpp"

namespace onnxport::hub {
namespace {

namespace fs = std::filesystem;

/// How often a whole file may turn out to have other bytes than its checksum says, before that is taken for final.
constexpr int most_mismatches = 2;

fs::path incomplete_path(const fs::path& blob) {
  fs::path path = blob;
  path += ".incomplete";
  return path;
}

/// The part of a blob that is there.
class Partial {
 public:
  explicit Partial(const fs::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)) {
    struct stat info {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) throw cache_error("cannot write", path, errno);
    size_ = static_cast<uint64_t>(info.st_size);
  }
  ~Partial() { ::close(descriptor_); }
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  uint64_t size() const { return size_; }
  const fs::path& path() const { return path_; }

  /// False with errno where the system refuses.
  bool append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      size_ += static_cast<uint64_t>(count);
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }

  bool clear() {
    size_ = 0;
    return ::ftruncate(descriptor_, 0) == 0;
  }

  /// On the disk and under its name: the cache is trusted by the names of its blobs, also after a power failure.
  void deliver(const fs::path& blob) const {
    if (::fdatasync(descriptor_) != 0 || std::rename(path_.c_str(), blob.c_str()) != 0)
      throw cache_error("cannot write", blob, errno);
  }

 private:
  fs::path path_;
  int descriptor_;
  uint64_t size_ = 0;
};

/// The download of one blob whose lock is held.
class Download {
 public:
  Download(const BlobJob& job, const RemoteFile& file)
      : job_(job),
        file_(file),
        blob_(job.repository.blob(file.etag)),
        part_(incomplete_path(blob_)),
        backoff_(job.client.options().retry, job.client.options().hooks) {}

  void run() {
    job_.advance(static_cast<int64_t>(part_.size()));
    if (part_.size() > file_.size) drop();
    furthest_ = part_.size();
    for (int mismatches = 0;;) {
      while (part_.size() < file_.size) transfer();
      const std::string found = checksum_of(part_.path(), checksum_kind(file_.etag), job_.client.options().hooks.stop);
      if (found.empty() || found == file_.etag) break;
      drop();
      if (++mismatches == most_mismatches) throw mismatch(found);
    }
    part_.deliver(blob_);
  }

 private:
  /// One attempt at the rest, or at the whole where the server gives no parts.
  void transfer() {
    const uint64_t from = part_.size();
    bool begun = false, misplaced = false, too_long = false;
    int refused = 0;
    const Answer answer =
        job_.client.fetch(job_.commit, file_.name, from, [&](const HttpResponse& response, std::string_view bytes) {
          if (!begun) {
            begun = true;
            if (response.status == 200 && from > 0) drop();
            misplaced = response.status == 206 && !begins_at(response, from);
          }
          too_long = part_.size() + bytes.size() > file_.size;
          if (misplaced || too_long) return false;
          if (!part_.append(bytes)) refused = errno;
          job_.advance(static_cast<int64_t>(bytes.size()));
          return refused == 0;
        });
    if (refused != 0) throw cache_error("cannot write", part_.path(), refused);
    std::string why = describe(answer);
    if (answer.status == 416 || misplaced || too_long) {
      drop();
      why = fmt::format("{} sends other bytes of {} than were asked for", origin_of(answer.url), file_.name);
    } else {
      // Only what was never there before is progress; a server that sends the same again and again makes none.
      if (part_.size() > furthest_) backoff_.reset();
      furthest_ = std::max(furthest_, part_.size());
      if (part_.size() == file_.size) return;
      if (!may_pass(answer)) {
        why = fmt::format("{} sends {} bytes of {}, expected {}", origin_of(answer.url), part_.size(), file_.name,
                          file_.size);
      }
    }
    if (backoff_.wait(why, std::chrono::seconds(answer.retry_after))) return;
    if (may_pass(answer)) throw exhausted(answer, backoff_.tried());
    throw Error(Failure::checkpoint, fmt::format("{} (tried {})", why, backoff_.tried()), mirror_hint);
  }

  static bool begins_at(const HttpResponse& response, uint64_t from) {
    return response.header("content-range").starts_with(fmt::format("bytes {}-", from));
  }

  void drop() {
    job_.advance(-static_cast<int64_t>(part_.size()));
    if (!part_.clear()) throw cache_error("cannot write", part_.path(), errno);
  }

  Error mismatch(const std::string& found) const {
    return {Failure::checkpoint,
            fmt::format("{} of '{}' does not match its checksum: expected {}, found {}", file_.name,
                        job_.client.options().id, file_.etag, found),
            mirror_hint};
  }

  static constexpr const char* mirror_hint =
      "try again; where that does not help, a proxy or the mirror of HF_ENDPOINT changes the files";

  const BlobJob& job_;
  const RemoteFile& file_;
  fs::path blob_;
  Partial part_;
  Backoff backoff_;
  uint64_t furthest_ = 0;
};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

void download_blob(const BlobJob& job, const RemoteFile& file) {
  const fs::path blob = job.repository.blob(file.etag);
  if (!is_there(blob)) {
    const FileLock lock(job.repository.lock_file(file.etag), job.waiting);
    if (!is_there(blob)) {
      make_folder(blob.parent_path());
      Download(job, file).run();
      return;
    }
  }
  job.advance(static_cast<int64_t>(file.size));
}

uint64_t bytes_there(const Repository& repository, const RemoteFile& file) {
  const fs::path blob = repository.blob(file.etag);
  if (is_there(blob)) return file.size;
  std::error_code reason;
  const uint64_t size = fs::file_size(incomplete_path(blob), reason);
  return reason || size > file.size ? 0 : size;
}

}  // namespace onnxport::hub

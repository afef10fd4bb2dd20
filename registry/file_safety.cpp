// SPDX-License-Identifier: Apache-2.0
#include "registry/file_safety.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/error.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

/// A sum in lower case; the context begins anew.
std::string told(sha256_ctx& context) {
  std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&context, digest.size(), digest.data());
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const uint8_t byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

std::optional<Refusal> check_writers(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return Refusal{fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)),
                   "check the path and its permissions"};
  }
  // A sticky folder (such as /tmp) still lets everybody add files beside the library, so it does not count as
  // safe.
  if ((status.st_mode & S_IWOTH) != 0) {
    return Refusal{fmt::format("{}: found mode {:04o}, writable by everybody; expected writable by its owner only",
                               path.string(), status.st_mode & 07777),
                   fmt::format("chmod o-w {}", path.string())};
  }
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return Refusal{fmt::format("{}: found to belong to user {}; expected root or the user who runs onnxport ({})",
                               path.string(), status.st_uid, ::geteuid()),
                   "install the plugin as the user who uses it"};
  }
  return std::nullopt;
}

std::optional<Refusal> check_place(const Path& file) {
  const Path folder = file.has_parent_path() ? file.parent_path() : Path(".");
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || (status.st_mode & S_IWOTH) == 0 || (status.st_mode & S_ISVTX) != 0)
    return std::nullopt;
  return Refusal{fmt::format("{}: found its folder with mode {:04o}, in which everybody can replace it; expected one "
                             "writable by its owner only",
                             file.string(), status.st_mode & 07777),
                 fmt::format("chmod o-w {}", folder.string())};
}

std::optional<Refusal> check_library_file(const Path& library) {
  struct stat status {};
  if (::lstat(library.c_str(), &status) != 0) {
    if (errno == ENOENT) {
      return Refusal{
          fmt::format("{}: not found; expected the library that the manifest beside it names", library.string()),
          "build or install the plugin again"};
    }
    return Refusal{fmt::format("{}: cannot be read: {}", library.string(), std::strerror(errno)),
                   "check the path and its permissions"};
  }
  if (!S_ISREG(status.st_mode)) {
    const char* found = S_ISLNK(status.st_mode)   ? "a symbolic link"
                        : S_ISDIR(status.st_mode) ? "a folder"
                                                  : "a special file";
    return Refusal{fmt::format("{}: found {}, expected a regular file", library.string(), found),
                   "put the library itself beside its manifest"};
  }
  return std::nullopt;
}

std::string sha256_of(const Path& file) {
  const auto failed = [&]() -> Error {
    return {Failure::plugin, fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)),
            "check the file and its permissions"};
  };
  // A pipe would be waited for, and a device may have no end.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw failed();
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw Error(Failure::plugin, fmt::format("{}: cannot be read: not a regular file", file.string()),
                "put the file itself there");
  }
  sha256_ctx context;
  sha256_init(&context);
  std::array<uint8_t, 1 << 16> buffer;
  for (;;) {
    const ssize_t size = ::read(descriptor, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      const int number = errno;
      ::close(descriptor);
      errno = number;
      throw failed();
    }
    if (size == 0) break;
    sha256_update(&context, static_cast<size_t>(size), buffer.data());
  }
  ::close(descriptor);
  return told(context);
}

}  // namespace onnxport

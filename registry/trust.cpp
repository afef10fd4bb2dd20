// SPDX-License-Identifier: Apache-2.0
#include "registry/trust.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

Path policy_directory(const yaml::Node& node, const Path& file) {
  Path path = node.text;
  if (node.text == "~" || node.text.rfind("~/", 0) == 0) {
    const char* home = has_elevated_privileges() ? nullptr : std::getenv("HOME");
    if (home == nullptr || *home == '\0') {
      yaml::fail(file, node.line, fmt::format("'{}' needs HOME, which is not set", node.text));
    }
    path = Path(home) / node.text.substr(std::min<size_t>(2, node.text.size()));
  }
  if (!path.is_absolute()) {
    yaml::fail(file, node.line, fmt::format("the directory '{}' must be absolute or begin with ~/", node.text));
  }
  std::error_code error;
  const Path canonical = std::filesystem::weakly_canonical(path, error);
  return error ? path.lexically_normal() : canonical;
}

bool is_below(const Path& folder, const Path& directory) {
  const Path relative = folder.lexically_relative(directory);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

TrustPolicy TrustPolicy::read(const Path& file) {
  TrustPolicy policy;
  policy.file_ = file;
  const std::string text = yaml::read_text(file);
  if (const auto refusal = check_writers(file)) throw Error(Failure::plugin, refusal->cause, refusal->hint);
  const yaml::Node root = yaml::parse(text, file);
  yaml::Map map(root, file, "the trust policy");
  const yaml::Node& require = map.required("require");
  const std::string& rule = yaml::string(require, file, "require");
  if (rule == "known-sha256") {
    policy.require_ = Require::known_sha256;
  } else if (rule == "known-directory") {
    policy.require_ = Require::known_directory;
  } else if (rule != "none") {
    yaml::fail(file, require.line,
               fmt::format("'require' is '{}', expected known-sha256, known-directory or none", rule));
  }
  if (const yaml::Node* sums = map.optional("sha256")) {
    policy.sums_ = yaml::strings(*sums, file, "sha256", true);
    for (size_t i = 0; i < policy.sums_.size(); ++i) {
      const std::string& sum = policy.sums_[i];
      if (sum.size() != 64 || sum.find_first_not_of("0123456789abcdef") != std::string::npos) {
        yaml::fail(file, sums->items[i].line, fmt::format("'{}' is not 64 hexadecimal digits in lower case", sum));
      }
    }
  }
  if (const yaml::Node* directories = map.optional("directories")) {
    yaml::strings(*directories, file, "directories", true);
    for (const yaml::Node& item : directories->items) policy.directories_.push_back(policy_directory(item, file));
  }
  map.finish();
  return policy;
}

std::optional<Refusal> TrustPolicy::check_directory(const Path& folder) const {
  if (require_ != Require::known_directory) return std::nullopt;
  std::error_code error;
  Path canonical = std::filesystem::weakly_canonical(folder, error);
  if (error) canonical = folder.lexically_normal();
  for (const Path& directory : directories_) {
    if (is_below(canonical, directory)) return std::nullopt;
  }
  return Refusal{fmt::format("{}: found in none of the directories of the trust policy {}, which requires one of them",
                             canonical.string(), file_.string()),
                 "if you trust it, add its directory to 'directories' of the policy"};
}

std::optional<Refusal> TrustPolicy::check_sha256(const std::string& sha256, const Path& library) const {
  if (require_ != Require::known_sha256) return std::nullopt;
  if (std::find(sums_.begin(), sums_.end(), sha256) != sums_.end()) return std::nullopt;
  if (sha256.empty()) {
    return Refusal{fmt::format("{}: its manifest gives no sha256, and the trust policy {} requires a known one",
                               library.string(), file_.string()),
                   "build the plugin again with onnxport_add_plugin(), which writes the sum"};
  }
  return Refusal{fmt::format("{}: found sha256 {}, which is not among those of the trust policy {}", library.string(),
                             sha256, file_.string()),
                 "if you trust it, add the sum to 'sha256' of the policy"};
}

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
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw failed();
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
  std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&context, digest.size(), digest.data());
  std::string text;
  for (const uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

bool has_elevated_privileges() {
  return ::geteuid() != ::getuid() || ::getegid() != ::getgid();
}

}  // namespace onnxport

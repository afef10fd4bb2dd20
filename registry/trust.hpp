// SPDX-License-Identifier: Apache-2.0
// Which plugin files may be loaded: who can write them, and the user's policy.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace onnxport {

/// Why a plugin is refused, and what the user can do about it.
struct Refusal {
  std::string cause;
  std::string hint;
};

/// The policy file:
///     require: known-sha256 | known-directory | none
///     sha256: [64 hexadecimal digits, …]
///     directories: [/absolute/path, ~/below/home, …]
class TrustPolicy {
 public:
  enum class Require { none, known_directory, known_sha256 };

  /// Throws Error(plugin) with file and line; a policy that anybody else can write is an error, too.
  static TrustPolicy read(const std::filesystem::path& file);

  Require require() const { return require_; }
  const std::filesystem::path& file() const { return file_; }
  /// The plugin's folder against the policy.
  std::optional<Refusal> check_directory(const std::filesystem::path& folder) const;
  /// A library's sum against the policy; `library` is for the message.
  std::optional<Refusal> check_sha256(const std::string& sha256, const std::filesystem::path& library) const;

 private:
  std::filesystem::path file_;
  Require require_ = Require::none;
  std::vector<std::string> sums_;
  std::vector<std::filesystem::path> directories_;
};

/// Whether only root and the user of this process decide what a file or folder holds: its owner is one of
/// them, and not everybody can write it.
std::optional<Refusal> check_writers(const std::filesystem::path& path);

/// Whether `library` is a regular file, and no link to one.
std::optional<Refusal> check_library_file(const std::filesystem::path& library);

/// The SHA-256 sum of a file in lower case. Throws Error(plugin) where it cannot be read.
std::string sha256_of(const std::filesystem::path& file);

/// Whether the process runs with other rights than its caller has; then nothing of the environment decides on
/// code.
bool has_elevated_privileges();

}  // namespace onnxport

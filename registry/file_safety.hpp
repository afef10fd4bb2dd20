// SPDX-License-Identifier: Apache-2.0
// What is asked of a file before code is loaded from it: who decides on its contents, and what they are.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace onnxport {

/// Why something is refused, and what the user can do about it.
struct Refusal {
  std::string cause;
  std::string hint;
};

/// Whether only root and the user of this process decide what a file or folder holds: its owner is one of
/// them, and not everybody can write it.
std::optional<Refusal> check_writers(const std::filesystem::path& path);

/// Whether not everybody can put another file in the place of this one: its folder is not writable by everybody, or
/// lets only owners take a file away (as /tmp does).
std::optional<Refusal> check_place(const std::filesystem::path& file);

/// Whether `library` is a regular file, and no link to one.
std::optional<Refusal> check_library_file(const std::filesystem::path& library);

/// The SHA-256 sum of a file in lower case. Throws Error(plugin) where it cannot be read.
std::string sha256_of(const std::filesystem::path& file);

}  // namespace onnxport

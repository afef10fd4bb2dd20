// SPDX-License-Identifier: Apache-2.0
// Checksums of downloaded files. The hub names a file's content by one of two: the SHA-256 of a large file (LFS), or
// git's object name of a small one, which is the SHA-1 of "blob SIZE\0" and the bytes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace onnxport::hub {

enum class Checksum { none, sha256, git_sha1 };

/// Which of them an etag is, by its form: 64 or 40 hexadecimal digits; none for what other servers send.
Checksum checksum_kind(const std::string& etag);

/// The file's checksum in hexadecimal digits. Calls `stop` between blocks and throws Error(output, "interrupted") where
/// it returns true; Error(checkpoint) where the file cannot be read.
std::string checksum_of(const std::filesystem::path& file, Checksum kind, const std::function<bool()>& stop);

}  // namespace onnxport::hub

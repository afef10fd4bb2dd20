// SPDX-License-Identifier: Apache-2.0
// Publishers' signatures: Ed25519 over the bytes of a file, in FILE.sig beside it. Of a plugin the manifest is signed,
// which holds the sum of its library.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace onnxport {

/// A key pair of a publisher. Keys are kept as OpenSSL writes them (PEM, PKCS #8), and named by the 32 bytes of the
/// public key in base64.
class SigningKey {
 public:
  /// Throws Error(usage) where the file is no such key, or others than its owner can read it.
  static SigningKey read(const std::filesystem::path& file);
  /// A new one, written to a file that only its owner can read. Throws Error(usage) where there is such a file.
  static SigningKey make(const std::filesystem::path& file);

  /// The public key in base64.
  std::string publisher() const;
  /// Writes FILE.sig, and yields its path. Throws Error(output).
  std::filesystem::path sign(const std::filesystem::path& file) const;

 private:
  std::string secret_;  // 32 bytes
};

/// Whether the text is a public key in base64.
bool is_publisher(const std::string& text);

std::filesystem::path signature_of(const std::filesystem::path& file);

/// Who has signed the file, by the signature beside it; nullopt where there is none. Throws Error(plugin) where there
/// is one that is not right.
std::optional<std::string> verify_publisher(const std::filesystem::path& file);

}  // namespace onnxport

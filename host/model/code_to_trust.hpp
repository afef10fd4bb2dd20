// SPDX-License-Identifier: Apache-2.0
// A plugin or a back end that is named by its path, to be trusted, signed or verified. Nothing of it is loaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "registry/manifest.hpp"
#include "registry/trust.hpp"

namespace onnxport {

struct CodeToTrust {
  std::filesystem::path signed_file;  ///< the manifest, or a back end's library
  std::optional<Manifest> manifest;   ///< of a plugin
  /// Its sum is that of the file as it is now; of its publisher, see find_verified_code().
  Subject subject;
  std::string version;  ///< "1.0.0"; empty for a back end
};

/// `path` is a plugin's folder, its manifest or its library, or a back end's library. Throws Error(usage) where it is
/// none of these, Error(plugin) where the manifest has a mistake or the library is not what it says. No signature is
/// looked at.
CodeToTrust find_code(const std::filesystem::path& path);
/// The same with its publisher. Throws Error(plugin) as well where the signature is not right.
CodeToTrust find_verified_code(const std::filesystem::path& path);

}  // namespace onnxport

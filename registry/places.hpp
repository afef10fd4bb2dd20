// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/trust.hpp"

namespace onnxport {

/// Where to look. Places are searched in this order, and an earlier one wins: each of `plugin_dirs`, each of
/// ONNXPORT_PLUGIN_PATH, the user's directory, the install directory.
struct SearchOptions {
  /// --plugin-dir: folders of plugin folders, or plugin folders themselves.
  std::vector<std::filesystem::path> plugin_dirs;
  /// Whether variables of the environment, and the user's folders that are found by them, count.
  bool environment = true;
  /// The trust policy instead of the user's ${XDG_CONFIG_HOME:-~/.config}/onnxport/trust.yaml.
  std::optional<std::filesystem::path> trust_file;
  /// Only the plugins that were installed with the program.
  bool builtin_only = false;
  /// Instead of ../lib/onnxport/plugins beside the running program's folder.
  std::optional<std::filesystem::path> install_dir;
};

/// A place that is searched.
struct Place {
  std::string name;  ///< "--plugin-dir", "ONNXPORT_PLUGIN_PATH", "user" or "install"
  std::filesystem::path directory;
  bool exists = false;
};

/// What is searched, and under which policy.
struct Places {
  std::vector<Place> list;                   ///< in search order
  std::shared_ptr<const TrustPolicy> trust;  ///< null where there is none
  std::vector<std::string> notes;            ///< what is not searched and why, for the user to read
};

/// Throws Error(usage) for a --plugin-dir that is no folder, Error(plugin) for a trust policy that cannot be read: it
/// is not ignored.
Places find_places(const SearchOptions& options);

}  // namespace onnxport

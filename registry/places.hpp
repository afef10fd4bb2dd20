// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/known_texts.hpp"
#include "registry/quarantine.hpp"
#include "registry/trust.hpp"

namespace onnxport {

/// Where to look. Places are searched in this order, and an earlier one wins: each of `plugin_dirs`, each of
/// ONNXPORT_PLUGIN_PATH, the user's directory, the install directory.
struct SearchOptions {
  /// --plugin-dir: folders of plugin folders, or plugin folders themselves.
  std::vector<std::filesystem::path> plugin_dirs;
  /// Whether variables of the environment, and the user's folders that are found by them, count.
  bool environment = true;
  /// A trust policy instead of the user's ${XDG_CONFIG_HOME:-~/.config}/onnxport/trust.yaml.
  std::optional<std::filesystem::path> trust_file;
  /// Policies of the machine, which hold whatever the user's says, instead of /etc/onnxport/trust.yaml and the one of
  /// the installation, etc/onnxport/trust.yaml beside its lib.
  std::optional<std::vector<std::filesystem::path>> machine_policies{};
  /// Only the plugins that were installed with the program.
  bool builtin_only = false;
  /// Libraries that are passed over besides those in quarantine.
  std::vector<QuarantineRecord> passed_over{};
  /// Whether the user's quarantine counts.
  bool quarantine = true;
  /// Instead of ../lib/onnxport/plugins beside the running program's folder.
  std::optional<std::filesystem::path> install_dir;
};

/// The name of the place that the program brings along.
inline constexpr std::string_view install_place = "install";

/// A place that is searched.
struct Place {
  std::string name;  ///< "--plugin-dir", "ONNXPORT_PLUGIN_PATH", "user" or "install"
  std::filesystem::path directory;
  bool exists = false;
};

/// What is searched, and under which policy.
struct Places {
  std::vector<Place> list;             ///< in search order
  std::shared_ptr<const Trust> trust;  ///< null where no policy holds
  /// Libraries that are not opened for what they did before.
  std::shared_ptr<const std::vector<QuarantineRecord>> quarantine;
  /// What manifests hold that were read before; none where nothing of the user's is looked at.
  std::shared_ptr<KnownTexts> texts = std::make_shared<KnownTexts>();
  std::vector<std::string> notes;  ///< what is not searched and why, for the user to read
};

/// A folder of the user's after the XDG rules: ${variable:-~/fallback}/onnxport. A relative value does not count;
/// nullopt where nothing names one.
std::optional<std::filesystem::path> user_folder(const char* variable, const char* fallback);

/// ${XDG_CONFIG_HOME:-~/.config}/onnxport/trust.yaml; nullopt where neither is set.
std::optional<std::filesystem::path> user_policy_file();

/// The policies that hold; null where there are none. Throws Error(plugin) for one that cannot be read: it is not
/// ignored.
std::shared_ptr<const Trust> find_trust(const SearchOptions& options);

/// Throws Error(usage) for a --plugin-dir that is no folder, Error(plugin) for a trust policy that cannot be read: it
/// is not ignored.
Places find_places(const SearchOptions& options);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Finds plugins by their manifests and says which one serves a model type. Opens no library; loader.hpp does.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/loader.hpp"
#include "registry/manifest.hpp"
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

enum class CandidateState {
  usable,
  shadowed,     ///< an earlier place offers all its model types
  conflicting,  ///< another plugin of the same place offers one of its model types
  refused,      ///< may not be loaded: permissions, the trust policy, another platform or ABI
  broken,       ///< the manifest or the library is missing or wrong
};

/// "usable", "shadowed", …
std::string_view to_string(CandidateState state);

/// A plugin that was found, whether it can be used or not.
struct Candidate {
  Manifest manifest;
  std::filesystem::path manifest_path;
  /// "--plugin-dir", "ONNXPORT_PLUGIN_PATH", "user" or "install".
  std::string place;
  CandidateState state = CandidateState::usable;
  /// Why it is not, or not for all its types, usable. Empty for a plain usable one.
  std::string reason;
  /// What the user can do about it; may be empty.
  std::string hint;
  /// Of an extension: the plugin whose library it uses. Null where the extension could not be resolved.
  const Candidate* base = nullptr;
  /// Directories are numbered in search order.
  size_t place_index = 0;
  /// The policy that load() applies; null where there is none.
  std::shared_ptr<const TrustPolicy> trust;

  bool is_healthy() const { return state != CandidateState::refused && state != CandidateState::broken; }
  /// The candidate whose library is loaded: itself, or what it extends.
  const Candidate& with_library() const { return base != nullptr ? *base : *this; }
};

/// What serves a model type.
struct Resolved {
  const Candidate* candidate = nullptr;
  /// Features and architectures of the type.
  const Manifest::Model* model = nullptr;
  /// As the plugin spells it; through an extension, the extended plugin's type. What create() is given.
  std::string model_type;
};

/// All candidates of all places. References and pointers to candidates live as long as the Registry.
class Registry {
 public:
  /// A place that was searched.
  struct Place {
    std::string name;
    std::filesystem::path directory;
    bool exists = false;
  };

  /// Reads the manifests. A bad one becomes a candidate with a reason; it stops no other. Throws Error(usage)
  /// for a
  /// --plugin-dir that is no folder, Error(plugin) for a trust policy that cannot be read: it is not ignored.
  static Registry discover(const SearchOptions& options = {});

  Registry(Registry&&) noexcept = default;
  Registry& operator=(Registry&&) noexcept = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// In search order, then by folder name.
  const std::vector<Candidate>& candidates() const { return candidates_; }
  const std::vector<Place>& places() const { return places_; }
  /// What was not searched and why, for the user to read.
  const std::vector<std::string>& notes() const { return notes_; }

  /// The candidate for a model type; `plugin_id` picks one where several offer it. Throws Error(usage) for an
  /// unknown type or plugin, Error(plugin) where plugins conflict or the only ones are refused or broken.
  const Candidate& find(std::string_view model_type, const std::string& plugin_id = {}) const;
  /// The same with what else is known of the type.
  Resolved resolve(std::string_view model_type, const std::string& plugin_id = {}) const;
  /// Refused and broken candidates that would have come before the one that find() gives: worth a warning.
  std::vector<const Candidate*> passed_over(std::string_view model_type) const;
  /// All types that some healthy candidate offers, sorted, as the plugins spell them.
  std::vector<std::string> model_types() const;

 private:
  Registry() = default;
  void scan(size_t place, const std::shared_ptr<const TrustPolicy>& trust);
  void add(const std::filesystem::path& manifest, size_t place, const std::shared_ptr<const TrustPolicy>& trust);
  void add_broken(const std::filesystem::path& path, size_t place, std::string reason, std::string hint);
  void resolve_extensions();
  void index();

  std::vector<Candidate> candidates_;
  std::vector<Place> places_;
  std::vector<std::string> notes_;
  /// normal_type -> candidates in search order, healthy or not.
  std::map<std::string, std::vector<size_t>, std::less<>> offers_;
};

/// Up to `limit` of `known` that `word` may have been meant to be, nearest first.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& known, size_t limit = 3);

}  // namespace onnxport

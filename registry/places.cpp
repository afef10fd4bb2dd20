// SPDX-License-Identifier: Apache-2.0
#include "registry/places.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/installation.hpp"
#include "core/privileges.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

bool is_folder(const Path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// Reads the policy, where it is there.
void add_policy(const Path& file, std::vector<TrustPolicy>& policies) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(file, error);
  if (file.empty() || status.type() == std::filesystem::file_type::not_found) return;
  // What is there but cannot be read is an error of read(): a policy is not passed over.
  policies.push_back(TrustPolicy::read(file));
}

std::vector<Path> machine_policy_files() {
  const Path system = "/etc/onnxport/trust.yaml",
             installed = (installed_files() / "../../etc/onnxport/trust.yaml").lexically_normal();
  return installed == system ? std::vector<Path>{system} : std::vector<Path>{system, installed};
}

bool heeds_environment(const SearchOptions& options) {
  return options.environment && !has_elevated_privileges();
}

Place place(std::string name, const Path& directory) {
  return {std::move(name), directory, is_folder(directory)};
}

/// The words of a list of folders, without empty ones.
std::vector<std::string> split_path(std::string_view list) {
  std::vector<std::string> folders;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) folders.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return folders;
}

void add_places_of_environment(Places& places) {
  for (const std::string& directory : split_path(environment("ONNXPORT_PLUGIN_PATH").value_or(""))) {
    places.list.push_back(place("ONNXPORT_PLUGIN_PATH", directory));
    if (places.list.back().exists) continue;
    places.notes.push_back(fmt::format("ONNXPORT_PLUGIN_PATH names {}, which is no folder", directory));
  }
  if (const auto folder = user_folder("XDG_DATA_HOME", ".local/share"))
    places.list.push_back(place("user", *folder / "plugins"));
}

}  // namespace

std::optional<Path> user_folder(const char* variable, const char* fallback) {
  if (const auto value = environment(variable); value && Path(*value).is_absolute()) return Path(*value) / "onnxport";
  if (const auto home = environment("HOME"); home && Path(*home).is_absolute())
    return Path(*home) / fallback / "onnxport";
  return std::nullopt;
}

std::optional<Path> user_policy_file() {
  const auto folder = user_folder("XDG_CONFIG_HOME", ".config");
  return folder ? std::optional(*folder / "trust.yaml") : std::nullopt;
}

std::shared_ptr<const Trust> find_trust(const SearchOptions& options) {
  std::vector<TrustPolicy> policies;
  for (const Path& file : options.machine_policies ? *options.machine_policies : machine_policy_files())
    add_policy(file, policies);
  if (options.trust_file) {
    policies.push_back(TrustPolicy::read(*options.trust_file));
  } else if (heeds_environment(options)) {
    if (const auto file = user_policy_file()) add_policy(*file, policies);
  }
  return policies.empty() ? nullptr : std::make_shared<const Trust>(std::move(policies));
}

Places find_places(const SearchOptions& options) {
  Places places;
  bool from_environment = options.environment;
  if (from_environment && has_elevated_privileges()) {
    from_environment = false;
    places.notes.push_back(
        "running with elevated privileges: ONNXPORT_PLUGIN_PATH, ONNXPORT_BACKEND_PATH, ONNXPORT_ONNXRUNTIME and the "
        "user's own plugins and trust policy are ignored");
  }
  places.trust = find_trust(options);
  std::vector<QuarantineRecord> quarantine = options.passed_over;
  if (const auto folder = quarantine_folder(); folder && from_environment && options.quarantine) {
    for (QuarantineRecord& record : read_quarantine(*folder, places.notes)) quarantine.push_back(std::move(record));
  }
  places.quarantine = std::make_shared<const std::vector<QuarantineRecord>>(std::move(quarantine));

  if (const auto cache = user_folder("XDG_CACHE_HOME", ".cache"); cache && from_environment)
    places.texts = std::make_shared<KnownTexts>(*cache / "manifests");

  if (!options.builtin_only) {
    for (const Path& directory : options.plugin_dirs) {
      if (!is_folder(directory)) {
        throw Error(Failure::usage, fmt::format("--plugin-dir {}: no such folder", directory.string()),
                    "give a folder that holds plugin folders, or a plugin's own folder");
      }
      places.list.push_back(place("--plugin-dir", directory));
    }
    if (from_environment) add_places_of_environment(places);
  }
  const Path install = options.install_dir ? *options.install_dir : installed_files() / "plugins";
  if (!install.empty()) places.list.push_back(place("install", install));
  return places;
}

}  // namespace onnxport

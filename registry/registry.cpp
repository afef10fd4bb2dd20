// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnxport/abi.h>

#include <algorithm>
#include <boost/dll/runtime_symbol_info.hpp>
#include <cstdlib>
#include <set>

#include "core/edit_distance.hpp"
#include "core/error.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

constexpr const char* manifest_name = "plugin.yaml";

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

/// A folder of the user's after the XDG rules: ${variable:-~/fallback}/onnxport. A relative value does not
/// count.
std::optional<Path> user_folder(const char* variable, const char* fallback) {
  if (const auto value = environment(variable); value && Path(*value).is_absolute()) return Path(*value) / "onnxport";
  if (const auto home = environment("HOME"); home && Path(*home).is_absolute())
    return Path(*home) / fallback / "onnxport";
  return std::nullopt;
}

Path install_directory() {
  boost::dll::fs::error_code error;
  const Path program = boost::dll::program_location(error);
  if (error) return {};
  return (program.parent_path() / "../lib/onnxport/plugins").lexically_normal();
}

bool is_folder(const Path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// What can be known of a built plugin without opening its library.
std::optional<Refusal> check_before_loading(const Candidate& candidate) {
  const Manifest& manifest = candidate.manifest;
  const Path& path = candidate.manifest_path;
  const Path folder = path.parent_path();
  for (const Path& writable : {folder, path}) {
    if (auto refusal = check_writers(writable)) return refusal;
  }
  if (candidate.trust) {
    if (auto refusal = candidate.trust->check_directory(folder)) return refusal;
  }
  if (manifest.is_extension()) return std::nullopt;
  if (manifest.abi_major != ONNXPORT_ABI_MAJOR || manifest.abi_minor > ONNXPORT_ABI_MINOR) {
    return Refusal{
        fmt::format("{}: found a plugin for ABI {}.{}, expected {}.0 to {}.{}", path.string(), manifest.abi_major,
                    manifest.abi_minor, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR),
        "install the build of the plugin that fits this version of onnxport, or another onnxport"};
  }
  if (manifest.platform != host_platform()) {
    return Refusal{
        fmt::format("{}: found a plugin for {}, expected {}", path.string(), manifest.platform, host_platform()),
        "install the plugin's build for this platform"};
  }
  const Path library = folder / manifest.library;
  if (auto refusal = check_writers(library)) {
    std::error_code error;
    if (std::filesystem::exists(library, error)) return refusal;
  }
  if (candidate.trust) return candidate.trust->check_sha256(manifest.sha256, library);
  return std::nullopt;
}

std::string describe(const Candidate& candidate) {
  return fmt::format("{} {} ({}, {})", candidate.manifest.id, candidate.manifest.version, candidate.place,
                     candidate.manifest_path.string());
}

std::vector<std::string> types_of(const Candidate& candidate) {
  std::vector<std::string> types;
  for (const Manifest::Model& model : candidate.manifest.models) {
    types.insert(types.end(), model.types.begin(), model.types.end());
  }
  // Of an extension that could not be resolved, the types are known all the same.
  if (types.empty()) {
    for (const Manifest::Alias& alias : candidate.manifest.aliases) types.push_back(alias.type);
  }
  return types;
}

std::string lines(const std::vector<std::string>& items) {
  return fmt::format("\n  {}", fmt::join(items, "\n  "));
}

}  // namespace

std::string_view to_string(CandidateState state) {
  switch (state) {
    case CandidateState::usable:
      return "usable";
    case CandidateState::shadowed:
      return "shadowed";
    case CandidateState::conflicting:
      return "conflicting";
    case CandidateState::refused:
      return "refused";
    case CandidateState::broken:
      return "broken";
  }
  return "";
}

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& known, size_t limit) {
  const std::string wanted = normal_type(word);
  std::vector<std::pair<size_t, const std::string*>> near;
  for (const std::string& candidate : known) {
    const std::string normal = normal_type(candidate);
    size_t distance = edit_distance(wanted, normal);
    // A longer name of the same family is near, however long.
    const bool contained =
        wanted.size() >= 3 && (normal.find(wanted) != std::string::npos || wanted.find(normal) != std::string::npos);
    if (contained) distance = std::min<size_t>(distance, 2);
    if (distance <= std::max<size_t>(2, wanted.size() / 3)) near.emplace_back(distance, &candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> result;
  for (const auto& [distance, candidate] : near) {
    if (result.size() < limit) result.push_back(*candidate);
  }
  return result;
}

Registry Registry::discover(const SearchOptions& options) {
  Registry registry;
  std::shared_ptr<const TrustPolicy> trust;

  bool from_environment = options.environment;
  if (from_environment && has_elevated_privileges()) {
    from_environment = false;
    registry.notes_.push_back(
        "running with elevated privileges: ONNXPORT_PLUGIN_PATH and the user's own plugins and trust policy "
        "are ignored");
  }

  if (options.trust_file) {
    trust = std::make_shared<TrustPolicy>(TrustPolicy::read(*options.trust_file));
  } else if (from_environment) {
    if (const auto folder = user_folder("XDG_CONFIG_HOME", ".config")) {
      const Path file = *folder / "trust.yaml";
      std::error_code error;
      const auto status = std::filesystem::symlink_status(file, error);
      // What is there but cannot be read is an error of read(): a policy is not passed over.
      if (status.type() != std::filesystem::file_type::not_found) {
        trust = std::make_shared<TrustPolicy>(TrustPolicy::read(file));
      }
    }
  }

  const auto place = [&](const char* name, const Path& directory) {
    registry.places_.push_back({name, directory, is_folder(directory)});
  };
  if (!options.builtin_only) {
    for (const Path& directory : options.plugin_dirs) {
      if (!is_folder(directory)) {
        throw Error(Failure::usage, fmt::format("--plugin-dir {}: no such folder", directory.string()),
                    "give a folder that holds plugin folders, or a plugin's own folder");
      }
      place("--plugin-dir", directory);
    }
    if (from_environment) {
      if (const auto variable = environment("ONNXPORT_PLUGIN_PATH")) {
        size_t begin = 0;
        while (begin <= variable->size()) {
          const size_t end = std::min(variable->find(':', begin), variable->size());
          const std::string directory = variable->substr(begin, end - begin);
          begin = end + 1;
          if (directory.empty()) continue;
          place("ONNXPORT_PLUGIN_PATH", directory);
          if (!registry.places_.back().exists) {
            registry.notes_.push_back(fmt::format("ONNXPORT_PLUGIN_PATH names {}, which is no folder", directory));
          }
        }
      }
      if (const auto folder = user_folder("XDG_DATA_HOME", ".local/share")) place("user", *folder / "plugins");
    }
  }
  const Path install = options.install_dir ? *options.install_dir : install_directory();
  if (!install.empty()) place("install", install);

  std::set<Path> seen;
  for (size_t i = 0; i < registry.places_.size(); ++i) {
    if (!registry.places_[i].exists) continue;
    // A folder that is named twice counts where it came first, and is no conflict with itself.
    std::error_code error;
    const Path canonical = std::filesystem::canonical(registry.places_[i].directory, error);
    if (!error && !seen.insert(canonical).second) continue;
    registry.scan(i, trust);
  }
  registry.resolve_extensions();
  registry.index();
  return registry;
}

void Registry::scan(size_t place, const std::shared_ptr<const TrustPolicy>& trust) {
  std::error_code error;
  const Path directory = std::filesystem::absolute(places_[place].directory).lexically_normal();
  if (std::filesystem::exists(directory / manifest_name, error)) {
    add(directory / manifest_name, place, trust);
    return;
  }
  std::vector<Path> entries;
  std::filesystem::directory_iterator iterator(directory, error);
  for (const std::filesystem::directory_iterator end; !error && iterator != end; iterator.increment(error)) {
    entries.push_back(iterator->path());
  }
  if (error) {
    add_broken(directory, place, fmt::format("{}: cannot be read: {}", directory.string(), error.message()),
               "check the folder's permissions");
  }
  std::sort(entries.begin(), entries.end());
  for (const Path& entry : entries) {
    if (is_folder(entry)) {
      const Path manifest = entry / manifest_name;
      if (std::filesystem::exists(manifest, error) || error) {
        add(manifest, place, trust);
        continue;
      }
      // A folder that is none of ours is none of our business, unless it holds a library.
      std::filesystem::directory_iterator inner(entry, error);
      for (const std::filesystem::directory_iterator end; !error && inner != end; inner.increment(error)) {
        if (inner->path().extension() != ".so") continue;
        add_broken(
            manifest, place,
            fmt::format("{}: not found; expected beside {}", manifest.string(), inner->path().filename().string()),
            "build the plugin with onnxport_add_plugin(), which writes its manifest");
        break;
      }
    } else if (entry.extension() == ".so") {
      add_broken(entry, place,
                 fmt::format("{}: found a library outside a plugin's folder, expected {}", entry.string(),
                             (entry.parent_path() / entry.stem() / entry.filename()).string()),
                 "put the library with its plugin.yaml into a folder of its own");
    }
  }
}

void Registry::add_broken(const Path& path, size_t place, std::string reason, std::string hint) {
  Candidate candidate;
  candidate.manifest_path = path;
  candidate.place = places_[place].name;
  candidate.place_index = place;
  candidate.state = CandidateState::broken;
  candidate.reason = std::move(reason);
  candidate.hint = std::move(hint);
  candidates_.push_back(std::move(candidate));
}

void Registry::add(const Path& path, size_t place, const std::shared_ptr<const TrustPolicy>& trust) {
  Candidate candidate;
  candidate.manifest_path = path;
  candidate.place = places_[place].name;
  candidate.place_index = place;
  candidate.trust = trust;
  const auto settle = [&](CandidateState state, Refusal refusal) {
    candidate.state = state;
    candidate.reason = std::move(refusal.cause);
    candidate.hint = std::move(refusal.hint);
  };
  Manifest& manifest = candidate.manifest;
  try {
    parse_manifest(yaml::read_text(path), path, manifest);
    if (!manifest.is_extension() && manifest.format == 0) {
      settle(CandidateState::broken,
             {fmt::format("{}: found the manifest's source form, expected the built form beside its library",
                          path.string()),
              "build the plugin with onnxport_add_plugin() and give the folder that the build writes"});
    } else if (auto refusal = check_before_loading(candidate)) {
      settle(CandidateState::refused, std::move(*refusal));
    } else if (!manifest.is_extension()) {
      if (auto missing = check_library_file(path.parent_path() / manifest.library)) {
        settle(CandidateState::broken, std::move(*missing));
      }
    }
  } catch (const Error& error) {
    settle(CandidateState::broken, {error.what(), error.hint()});
  }
  candidates_.push_back(std::move(candidate));
}

void Registry::resolve_extensions() {
  for (Candidate& extension : candidates_) {
    const Manifest& manifest = extension.manifest;
    if (!extension.is_healthy() || !manifest.is_extension()) continue;
    const auto settle = [&](CandidateState state, std::string reason, std::string hint) {
      extension.state = state;
      extension.reason = fmt::format("{}: {}", extension.manifest_path.string(), reason);
      extension.hint = std::move(hint);
    };
    std::vector<const Candidate*> found;
    const Candidate* unhealthy = nullptr;
    bool is_itself_extension = false;
    for (const Candidate& other : candidates_) {
      if (other.manifest.id != manifest.extends) continue;
      if (other.manifest.is_extension()) {
        is_itself_extension = true;
      } else if (!other.is_healthy()) {
        if (unhealthy == nullptr) unhealthy = &other;
      } else if (found.empty() || found.front()->place_index == other.place_index) {
        found.push_back(&other);
      }
    }
    if (found.size() > 1) {
      settle(CandidateState::broken,
             fmt::format("it extends '{}', which is there twice: {} and {}", manifest.extends,
                         found[0]->manifest_path.string(), found[1]->manifest_path.string()),
             "remove one of the two");
    } else if (found.empty() && unhealthy != nullptr) {
      settle(unhealthy->state,
             fmt::format("it extends '{}', which is {}: {}", manifest.extends, to_string(unhealthy->state),
                         unhealthy->reason),
             unhealthy->hint);
    } else if (found.empty()) {
      settle(CandidateState::broken,
             is_itself_extension
                 ? fmt::format("it extends '{}', which is an extension itself; expected a plugin with a library",
                               manifest.extends)
                 : fmt::format("it extends '{}', which is not among the plugins found", manifest.extends),
             "see `onnxport plugins list` for the plugins and their ids");
    } else {
      std::vector<Manifest::Model> models;
      for (const Manifest::Alias& alias : manifest.aliases) {
        const Manifest::Model* base = found.front()->manifest.model(alias.base);
        if (base == nullptr) {
          settle(CandidateState::broken,
                 fmt::format("its type '{}' stands for '{}', which '{}' does not offer; it offers {}", alias.type,
                             alias.base, manifest.extends, fmt::join(types_of(*found.front()), ", ")),
                 "correct model_types in the manifest");
          break;
        }
        models.push_back({{alias.type}, base->features, base->architectures, base->known_gaps});
      }
      if (!extension.is_healthy()) continue;
      extension.manifest.models = std::move(models);
      extension.base = found.front();
    }
  }
}

void Registry::index() {
  for (size_t i = 0; i < candidates_.size(); ++i) {
    std::vector<std::string> types = types_of(candidates_[i]);
    // A manifest that could not be read is likely to be meant for the type that its folder is called after.
    if (types.empty()) types.push_back(candidates_[i].manifest_path.parent_path().filename().string());
    for (const std::string& type : types) {
      std::vector<size_t>& offers = offers_[normal_type(type)];
      if (offers.empty() || offers.back() != i) offers.push_back(i);
    }
  }
  for (size_t i = 0; i < candidates_.size(); ++i) {
    Candidate& candidate = candidates_[i];
    if (!candidate.is_healthy()) continue;
    const std::vector<std::string> types = types_of(candidate);
    std::vector<std::string> reasons;
    size_t shadowed = 0;
    bool conflicting = false;
    for (const std::string& type : types) {
      bool is_shadowed = false;
      for (const size_t other : offers_.at(normal_type(type))) {
        if (other == i || !candidates_[other].is_healthy()) continue;
        if (candidates_[other].place_index < candidate.place_index) {
          if (!is_shadowed) reasons.push_back(fmt::format("{}: shadowed by {}", type, describe(candidates_[other])));
          is_shadowed = true;
        } else if (candidates_[other].place_index == candidate.place_index && !is_shadowed) {
          reasons.push_back(fmt::format("{}: conflicts with {}", type, describe(candidates_[other])));
          conflicting = true;
        }
      }
      shadowed += is_shadowed;
    }
    candidate.reason = fmt::format("{}", fmt::join(reasons, "; "));
    if (conflicting) {
      candidate.state = CandidateState::conflicting;
      candidate.hint = "remove one of the two, or pick one with --plugin ID";
    } else if (shadowed == types.size()) {
      candidate.state = CandidateState::shadowed;
      candidate.hint = fmt::format("--plugin {} picks it where its id differs", candidate.manifest.id);
    }
  }
}

std::vector<std::string> Registry::model_types() const {
  std::map<std::string, std::string> types;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.is_healthy()) continue;
    for (const std::string& type : types_of(candidate)) types.emplace(normal_type(type), type);
  }
  std::vector<std::string> result;
  for (const auto& [normal, type] : types) result.push_back(type);
  return result;
}

std::vector<const Candidate*> Registry::passed_over(std::string_view model_type) const {
  std::vector<const Candidate*> result;
  const auto offers = offers_.find(normal_type(model_type));
  if (offers == offers_.end()) return result;
  size_t chosen = places_.size();
  for (const size_t i : offers->second) {
    if (candidates_[i].is_healthy()) chosen = std::min(chosen, candidates_[i].place_index);
  }
  for (const size_t i : offers->second) {
    if (!candidates_[i].is_healthy() && candidates_[i].place_index <= chosen) result.push_back(&candidates_[i]);
  }
  return result;
}

const Candidate& Registry::find(std::string_view model_type, const std::string& plugin_id) const {
  return *resolve(model_type, plugin_id).candidate;
}

Resolved Registry::resolve(std::string_view model_type, const std::string& plugin_id) const {
  std::vector<const Candidate*> offering;
  if (const auto offers = offers_.find(normal_type(model_type)); offers != offers_.end()) {
    for (const size_t i : offers->second) offering.push_back(&candidates_[i]);
  }

  if (!plugin_id.empty()) {
    std::vector<const Candidate*> named;
    std::vector<std::string> ids;
    for (const Candidate& candidate : candidates_) {
      if (candidate.manifest.id == plugin_id) named.push_back(&candidate);
      if (!candidate.manifest.id.empty()) ids.push_back(candidate.manifest.id);
    }
    if (named.empty()) {
      const std::vector<std::string> near = nearest(plugin_id, ids);
      throw Error(Failure::usage,
                  fmt::format("unknown plugin '{}'{}", plugin_id,
                              near.empty() ? "" : fmt::format("; the nearest known: {}", fmt::join(near, ", "))),
                  "see `onnxport plugins list` for the plugins and their ids");
    }
    std::erase_if(offering, [&](const Candidate* candidate) { return candidate->manifest.id != plugin_id; });
    if (offering.empty()) {
      // A manifest that breaks off before its types offers none.
      const Candidate& first = *named.front();
      if (!first.is_healthy()) {
        throw Error(Failure::plugin,
                    fmt::format("the plugin '{}' is {}: {}", plugin_id, to_string(first.state), first.reason),
                    first.hint);
      }
      throw Error(Failure::usage,
                  fmt::format("the plugin '{}' does not offer the model type '{}'; it offers {}", plugin_id, model_type,
                              fmt::join(types_of(first), ", ")),
                  "leave out --plugin, or see `onnxport plugins list`");
    }
  }

  if (offering.empty()) {
    const std::vector<std::string> known = model_types();
    if (known.empty()) {
      std::vector<std::string> searched;
      for (const Place& place : places_) {
        searched.push_back(
            fmt::format("{} ({}{})", place.directory.string(), place.name, place.exists ? "" : ", no such folder"));
      }
      throw Error(Failure::usage,
                  fmt::format("unknown model type '{}': no usable plugin was found in{}", model_type, lines(searched)),
                  "install plugins, or name their folder with --plugin-dir; `onnxport plugins list` shows "
                  "every candidate");
    }
    const std::vector<std::string> near = nearest(model_type, known);
    const bool some_broken = std::any_of(candidates_.begin(), candidates_.end(),
                                         [](const Candidate& candidate) { return !candidate.is_healthy(); });
    throw Error(Failure::usage,
                fmt::format("unknown model type '{}'{}", model_type,
                            near.empty() ? "" : fmt::format("; the nearest known: {}", fmt::join(near, ", "))),
                fmt::format("`onnxport features` lists the {} known model types{}", known.size(),
                            some_broken ? "; some plugins cannot be used, `onnxport plugins list` says why" : ""));
  }

  std::vector<const Candidate*> chosen;
  for (const Candidate* candidate : offering) {
    if (!candidate->is_healthy()) continue;
    if (chosen.empty() || chosen.front()->place_index == candidate->place_index) chosen.push_back(candidate);
  }
  if (chosen.empty()) {
    std::vector<std::string> reasons;
    for (const Candidate* candidate : offering) {
      reasons.push_back(fmt::format("{}: {}", to_string(candidate->state), candidate->reason));
    }
    throw Error(Failure::plugin,
                fmt::format("the model type '{}' has no plugin that can be used:{}", model_type, lines(reasons)),
                offering.front()->hint);
  }
  if (chosen.size() > 1) {
    std::vector<std::string> all;
    bool same_id = false;
    for (const Candidate* candidate : chosen) {
      all.push_back(describe(*candidate));
      same_id |= candidate != chosen.front() && candidate->manifest.id == chosen.front()->manifest.id;
    }
    throw Error(
        Failure::plugin,
        fmt::format("{} plugins of the same place offer the model type '{}':{}", chosen.size(), model_type, lines(all)),
        same_id ? "remove one of them: their ids are the same"
                : fmt::format("pick one, such as --plugin {}, or remove one of them", chosen.front()->manifest.id));
  }

  Resolved resolved;
  resolved.candidate = chosen.front();
  const Manifest& manifest = chosen.front()->manifest;
  resolved.model = manifest.model(model_type);
  const std::string wanted = normal_type(model_type);
  std::string type;
  for (const std::string& known : resolved.model->types) {
    if (normal_type(known) == wanted && (type.empty() || known == model_type)) type = known;
  }
  for (const Manifest::Alias& alias : manifest.aliases) {
    if (alias.type != type) continue;
    // Spelled as the extended plugin does, which compares letter by letter.
    type = alias.base;
    for (const Manifest::Model& model : chosen.front()->with_library().manifest.models) {
      for (const std::string& known : model.types) {
        if (normal_type(known) == normal_type(alias.base)) type = known;
      }
    }
    break;
  }
  resolved.model_type = std::move(type);
  return resolved;
}

}  // namespace onnxport

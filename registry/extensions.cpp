// SPDX-License-Identifier: Apache-2.0
#include "registry/extensions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "registry/nearest.hpp"

namespace onnxport {
namespace {

void settle(Candidate& extension, CandidateState state, const std::string& reason, std::string hint) {
  extension.state = state;
  extension.reason = fmt::format("{}: {}", extension.manifest_path.string(), reason);
  extension.hint = std::move(hint);
}

/// What the id that an extension names stands for.
struct Bases {
  std::vector<const Candidate*> usable;  // of the first place that has one
  const Candidate* unhealthy = nullptr;  // the first
  bool has_extension = false;
};

Bases find_bases(const std::vector<Candidate>& candidates, const std::string& id) {
  Bases found;
  for (const Candidate& other : candidates) {
    if (other.manifest.id != id) continue;
    if (other.manifest.is_extension()) {
      found.has_extension = true;
    } else if (!other.is_healthy()) {
      if (found.unhealthy == nullptr) found.unhealthy = &other;
    } else if (found.usable.empty() || found.usable.front()->place_index == other.place_index) {
      found.usable.push_back(&other);
    }
  }
  return found;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// What the extension says of a type's features, laid over what the extended plugin says.
Manifest::Model model_of(const Manifest& extension, const Manifest::Alias& alias, const Manifest::Model& base) {
  Manifest::Model model{{alias.type}, base.features, {}, base.known_gaps};
  if (!extension.offered.empty()) {
    model.features.clear();
    for (const std::string& feature : extension.offered) {
      if (contains(base.features, feature)) model.features.push_back(feature);
    }
  }
  for (const auto& [name, feature] : extension.architectures)
    model.architectures.emplace_back(name, extension.feature_of(feature));
  for (const auto& architecture : base.architectures) {
    if (contains(model.features, architecture.second)) model.architectures.push_back(architecture);
  }
  return model;
}

/// A feature that the manifest names and that none of its types has, with the key under which it does.
std::optional<std::string> unknown_feature(const Manifest& extension, const std::set<std::string>& known) {
  const auto what = [&](const char* key, const std::string& feature) -> std::optional<std::string> {
    if (known.contains(feature)) return std::nullopt;
    return fmt::format("its {} name the feature '{}', which its types do not have; they have {}", key, feature,
                       fmt::join(known, ", "));
  };
  for (const std::string& feature : extension.offered) {
    if (auto found = what("features", feature)) return found;
  }
  for (const auto& [name, feature] : extension.feature_names) {
    if (auto found = what("feature_names", feature)) return found;
  }
  for (const auto& [name, feature] : extension.architectures) {
    if (auto found = what("architectures", extension.feature_of(feature))) return found;
  }
  for (const auto& [feature, steps] : extension.outputs) {
    if (auto found = what("outputs", extension.feature_of(feature))) return found;
  }
  return std::nullopt;
}

/// Gives the extension's types what the types that they stand for have.
void take_models(Candidate& extension, const Candidate& base) {
  std::vector<Manifest::Model> models;
  for (const Manifest::Alias& alias : extension.manifest.aliases) {
    const Manifest::Model* model = base.manifest.model(alias.base);
    if (model == nullptr) {
      settle(extension, CandidateState::broken,
             fmt::format("its type '{}' stands for '{}', which '{}' does not offer; it offers {}", alias.type,
                         alias.base, base.manifest.id, fmt::join(types_of(base), ", ")),
             "correct model_types in the manifest");
      return;
    }
    models.push_back(model_of(extension.manifest, alias, *model));
  }
  std::set<std::string> known;
  for (const Manifest::Model& model : models) known.insert(model.features.begin(), model.features.end());
  if (const auto mistake = unknown_feature(extension.manifest, known)) {
    settle(extension, CandidateState::broken, *mistake, "correct the manifest");
    return;
  }
  extension.manifest.models = std::move(models);
  extension.base = &base;
}

/// The ids of those that have a library.
std::vector<std::string> extensible(const std::vector<Candidate>& candidates) {
  std::vector<std::string> ids;
  for (const Candidate& candidate : candidates) {
    if (!candidate.manifest.is_extension() && !candidate.manifest.id.empty()) ids.push_back(candidate.manifest.id);
  }
  return ids;
}

}  // namespace

void resolve_extensions(std::vector<Candidate>& candidates) {
  for (Candidate& extension : candidates) {
    if (!extension.is_healthy() || !extension.manifest.is_extension()) continue;
    const std::string& id = extension.manifest.extends;
    if (extension.manifest.id == id) {
      settle(extension, CandidateState::broken, fmt::format("its id is '{}', that of the plugin which it extends", id),
             "give it an id of its own");
      continue;
    }
    const Bases found = find_bases(candidates, id);
    if (found.usable.size() > 1) {
      settle(extension, CandidateState::broken,
             fmt::format("it extends '{}', which is there twice: {} and {}", id,
                         found.usable[0]->manifest_path.string(), found.usable[1]->manifest_path.string()),
             "remove one of the two");
    } else if (found.usable.size() == 1) {
      take_models(extension, *found.usable.front());
    } else if (found.unhealthy != nullptr) {
      settle(extension, found.unhealthy->state,
             fmt::format("it extends '{}', which is {}: {}", id, to_string(found.unhealthy->state),
                         found.unhealthy->reason),
             found.unhealthy->hint);
    } else {
      settle(extension, CandidateState::broken,
             found.has_extension
                 ? fmt::format("it extends '{}', which is an extension itself; expected a plugin with a library", id)
                 : fmt::format("it extends '{}', which is not among the plugins found{}", id,
                               guesses(id, extensible(candidates))),
             "see `onnxport plugins list` for the plugins and their ids");
    }
  }
}

}  // namespace onnxport

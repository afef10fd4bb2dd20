// SPDX-License-Identifier: Apache-2.0
#include "registry/extensions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>

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
    models.push_back({{alias.type}, model->features, model->architectures, model->known_gaps});
  }
  extension.manifest.models = std::move(models);
  extension.base = &base;
}

}  // namespace

void resolve_extensions(std::vector<Candidate>& candidates) {
  for (Candidate& extension : candidates) {
    if (!extension.is_healthy() || !extension.manifest.is_extension()) continue;
    const std::string& id = extension.manifest.extends;
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
                 : fmt::format("it extends '{}', which is not among the plugins found", id),
             "see `onnxport plugins list` for the plugins and their ids");
    }
  }
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "registry/extensions.hpp"
#include "registry/nearest.hpp"
#include "registry/scan.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

std::string lines(const std::vector<std::string>& items) {
  return fmt::format("\n  {}", fmt::join(items, "\n  "));
}

/// The only healthy candidate of the first place that has one. Throws Error(plugin) where there is none or several.
const Candidate& choose(const std::vector<const Candidate*>& offering, std::string_view model_type) {
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
  return *chosen.front();
}

/// The type as the candidate's library spells it, which compares letter by letter; of an extension, the extended type.
std::string spelled_type(const Candidate& candidate, const Manifest::Model& model, std::string_view model_type) {
  const std::string wanted = normal_type(model_type);
  std::string type;
  for (const std::string& known : model.types) {
    if (normal_type(known) == wanted && (type.empty() || known == model_type)) type = known;
  }
  for (const Manifest::Alias& alias : candidate.manifest.aliases) {
    if (alias.type != type) continue;
    type = alias.base;
    for (const Manifest::Model& base : candidate.with_library().manifest.models) {
      for (const std::string& known : base.types) {
        if (normal_type(known) == normal_type(alias.base)) type = known;
      }
    }
    break;
  }
  return type;
}

}  // namespace

Registry Registry::discover(const SearchOptions& options) {
  Registry registry;
  registry.places_ = find_places(options);
  std::set<Path> seen;
  for (size_t i = 0; i < registry.places_.list.size(); ++i) {
    const Place& place = registry.places_.list[i];
    if (!place.exists) continue;
    // A folder that is named twice counts where it came first, and is no conflict with itself.
    std::error_code error;
    const Path canonical = std::filesystem::canonical(place.directory, error);
    if (!error && !seen.insert(canonical).second) continue;
    for (Candidate& found : scan_place(registry.places_, i)) registry.candidates_.push_back(std::move(found));
  }
  registry.places_.texts->save();
  registry.settle();
  return registry;
}

void Registry::settle() {
  resolve_extensions(candidates_);
  offers_ = offers_of(candidates_);
  settle_precedence(candidates_, offers_);
}

void Registry::set_aside(const Candidate& candidate, const std::string& reason, const std::string& hint) {
  Candidate& out = candidates_[static_cast<size_t>(&candidate - candidates_.data())];
  out.state = CandidateState::broken;
  out.reason = reason;
  out.hint = hint;
  for (Candidate& other : candidates_) {
    if (!other.is_healthy()) continue;
    other.state = CandidateState::usable;
    other.reason.clear();
    other.hint.clear();
  }
  settle();
}

bool Registry::offers(std::string_view model_type, const std::string& plugin_id) const {
  const auto offers = offers_.find(normal_type(model_type));
  return offers != offers_.end() && std::any_of(offers->second.begin(), offers->second.end(), [&](size_t i) {
           const Candidate& candidate = candidates_[i];
           return candidate.is_healthy() && (plugin_id.empty() || candidate.manifest.id == plugin_id);
         });
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
  size_t chosen = places_.list.size();
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
  const std::vector<const Candidate*> offering = this->offering(model_type, plugin_id);
  if (offering.empty()) unknown_type(model_type);
  const Candidate& chosen = choose(offering, model_type);
  const Manifest::Model* model = chosen.manifest.model(model_type);
  return {&chosen, model, spelled_type(chosen, *model, model_type)};
}

/// The candidates for the type, healthy or not; of the plugin alone where one is named, and then an error where it is
/// not among them.
std::vector<const Candidate*> Registry::offering(std::string_view model_type, const std::string& plugin_id) const {
  std::vector<const Candidate*> offering;
  if (const auto offers = offers_.find(normal_type(model_type)); offers != offers_.end()) {
    for (const size_t i : offers->second) offering.push_back(&candidates_[i]);
  }
  if (plugin_id.empty()) return offering;

  const Candidate* named = nullptr;
  std::vector<std::string> ids;
  for (const Candidate& candidate : candidates_) {
    if (named == nullptr && candidate.manifest.id == plugin_id) named = &candidate;
    if (!candidate.manifest.id.empty()) ids.push_back(candidate.manifest.id);
  }
  if (named == nullptr) {
    throw Error(Failure::usage, fmt::format("unknown plugin '{}'{}", plugin_id, guesses(plugin_id, ids)),
                "see `onnxport plugins list` for the plugins and their ids");
  }
  std::erase_if(offering, [&](const Candidate* candidate) { return candidate->manifest.id != plugin_id; });
  if (!offering.empty()) return offering;
  // A manifest that breaks off before its types offers none.
  if (!named->is_healthy()) {
    throw Error(Failure::plugin,
                fmt::format("the plugin '{}' is {}: {}", plugin_id, to_string(named->state), named->reason),
                named->hint);
  }
  throw Error(Failure::usage,
              fmt::format("the plugin '{}' does not offer the model type '{}'; it offers {}", plugin_id, model_type,
                          fmt::join(types_of(*named), ", ")),
              "leave out --plugin, or see `onnxport plugins list`");
}

void Registry::unknown_type(std::string_view model_type) const {
  const std::vector<std::string> known = model_types();
  if (known.empty()) {
    std::vector<std::string> searched;
    for (const Place& place : places()) {
      searched.push_back(
          fmt::format("{} ({}{})", place.directory.string(), place.name, place.exists ? "" : ", no such folder"));
    }
    throw Error(Failure::usage,
                fmt::format("unknown model type '{}': no usable plugin was found in{}", model_type, lines(searched)),
                "install plugins, or name their folder with --plugin-dir; `onnxport plugins list` shows "
                "every candidate");
  }
  const bool some_broken = std::any_of(candidates_.begin(), candidates_.end(),
                                       [](const Candidate& candidate) { return !candidate.is_healthy(); });
  const bool is_installed_only =
      std::all_of(places().begin(), places().end(), [](const Place& place) { return place.name == "install"; });
  // What a manifest that cannot be read would have offered, nobody knows; of a few it is worth telling why.
  constexpr size_t most_told = 3;
  std::vector<std::string> unread;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.is_healthy() && types_of(candidate).empty()) unread.push_back(candidate.reason);
  }
  const std::string of_those = unread.empty() || unread.size() > most_told
                                   ? ""
                                   : fmt::format("; what {} would offer is not known:{}",
                                                 unread.size() == 1 ? "this plugin" : "these plugins", lines(unread));
  throw Error(
      Failure::usage, fmt::format("unknown model type '{}'{}{}", model_type, guesses(model_type, known), of_those),
      fmt::format("`onnxport features` lists the {} known model types{}{}", known.size(),
                  is_installed_only ? "; only plugins that came with the program were looked at, as --safe has it" : "",
                  some_broken ? "; some plugins cannot be used, `onnxport plugins list` says why" : ""));
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/definition/misnamed.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/definition/field_at.hpp"
#include "core/edit_distance.hpp"

namespace onnxport {
namespace {

std::string top_of(const std::string& path) {
  return path.substr(0, path.find('.'));
}

/// The paths of all fields, those of maps within as well.
void add_paths(const Json& map, const std::string& before, std::vector<std::string>& paths) {
  for (const auto& [key, value] : map.items()) {
    paths.push_back(before + key);
    if (value.is_object()) add_paths(value, before + key + ".", paths);
  }
}

class Search {
 public:
  explicit Search(const ConfigReading& reading) : r_(reading) {
    for (const auto& [field, looked_at] : r_.asked) {
      if (!r_.read.contains(field)) unanswered_.push_back(field);
    }
    add_paths(r_.checkpoint, "", unclaimed_);
    std::erase_if(unclaimed_, [&](const std::string& path) {
      return r_.asked.contains(path) || std::any_of(r_.names.fields.begin(), r_.names.fields.end(),
                                                    [&](const auto& field) { return field.first == path; });
    });
  }

  std::vector<Misnamed> found() {
    for (const auto& [own, theirs] : r_.names.fields) {
      const bool is_there = field_at(r_.checkpoint, own) != nullptr;
      if (!is_asked_for(theirs))
        add_unasked(theirs, fmt::format("config_names of {} has '{}' for", r_.names.extension, own), is_there);
      else if (!is_there && field_at(r_.read, theirs) == nullptr)
        add_absent(own, theirs);
    }
    add_unasked_of("config_defaults", r_.names.defaults);
    add_unasked_of("config_values", r_.names.values);
    return std::move(found_);
  }

 private:
  /// Whether the plugin asked for a field, or for the map that it is in; what says nothing of any graph need not be.
  bool is_asked_for(const std::string& path) const {
    return unread_fields(Json::object({{top_of(path), nullptr}}), r_.asked).empty();
  }
  void add_unasked_of(const char* key, const Json& fields) {
    for (const auto& [field, value] : fields.items()) {
      const Json* const own = field_at(r_.checkpoint, r_.names.own_name(field));
      if (is_asked_for(field) || own != nullptr) continue;
      add_unasked(field, fmt::format("{} of {} has", key, r_.names.extension), true);
    }
  }
  void add_unasked(const std::string& field, const std::string& subject, bool is_lost) {
    const std::string near(nearest_word(field, unanswered_));
    found_.push_back(
        {fmt::format("{} '{}', which {} does not read for '{}'{}", subject, field, r_.plugin_id, r_.names.base_type,
                     near.empty() ? "" : fmt::format("; the nearest that it reads: '{}'", near)),
         near, is_lost, true, fmt::format("{} '{}', which {} had not read by then", subject, field, r_.plugin_id)});
  }
  void add_absent(const std::string& own, const std::string& theirs) {
    const std::string near(nearest_word(own, unclaimed_));
    found_.push_back(
        {fmt::format("config_names of {} has '{}' for '{}', and config.json has no '{}'{}", r_.names.extension, own,
                     theirs, own, near.empty() ? "" : fmt::format("; the nearest that it has: '{}'", near)),
         near,
         !near.empty(),
         false,
         {}});
  }

  const ConfigReading& r_;
  std::vector<std::string> unanswered_;  // the plugin asked for them, and they were not there
  std::vector<std::string> unclaimed_;   // they are there, and nobody asked for them
  std::vector<Misnamed> found_;
};

constexpr const char* hint = "correct the extension's manifest; docs/fields.md lists what each model type reads";

Error error_of(const std::vector<const Misnamed*>& wrong, const std::string& more) {
  std::string text;
  bool in_manifest = false;
  for (const Misnamed* one : wrong) {
    text += (text.empty() ? "" : "; ") + one->told;
    in_manifest |= one->in_manifest;
  }
  return {in_manifest ? Failure::plugin : Failure::checkpoint, text + more, hint};
}

}  // namespace

std::vector<Misnamed> misnamed_fields(const ConfigReading& reading) {
  return Search(reading).found();
}

std::string given_by(const std::string& field, const ConfigNames& names, const Json& checkpoint) {
  if (field.empty()) return "";
  if (field_at(names.values, field) != nullptr) return "config_values";
  const bool is_default =
      field_at(names.defaults, field) != nullptr && field_at(checkpoint, names.own_name(field)) == nullptr;
  return is_default ? "config_defaults" : "";
}

Error explained_by(const std::vector<Misnamed>& misnamed, const Error& error) {
  std::vector<const Misnamed*> likely;
  std::string further;
  for (const Misnamed& one : misnamed) {
    if (one.is_lost && !one.nearest.empty()) likely.push_back(&one);
    // Without a likely other name, the plugin may have asked for it later.
    if (one.is_lost && one.nearest.empty()) further += "; " + one.told_early;
  }
  if (!likely.empty()) {
    const std::string followed = error.what();
    return error_of(likely, fmt::format(" (from it follows: {})", followed.substr(0, followed.find('\n'))));
  }
  return {error.failure(), error.what(),
          error.hint() + (error.hint().empty() && !further.empty() ? further.substr(2) : further)};
}

void refuse_lost(const std::vector<Misnamed>& misnamed) {
  std::vector<const Misnamed*> lost;
  for (const Misnamed& one : misnamed) {
    if (one.is_lost) lost.push_back(&one);
  }
  if (!lost.empty()) throw error_of(lost, "");
}

}  // namespace onnxport

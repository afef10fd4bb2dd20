// SPDX-License-Identifier: Apache-2.0
#include "core/definition/blamed_field.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

namespace onnxport {
namespace {

/// The search defines models that fail as well, and must not begin anew for them.
thread_local bool searches = false;
struct Search {
  Search() { searches = true; }
  ~Search() { searches = false; }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
};

using Pointer = Json::json_pointer;

struct Suspect {
  Pointer place;
  std::string path;  // "text_config.layer_norm_eps"
  bool odd = false;  // holds a number that no model has as a size
};

bool is_odd(const Json& value) {
  constexpr double most = 1e12;
  if (value.is_number()) return !(value.get<double>() > 0 && value.get<double>() < most);
  return value.empty() || std::any_of(value.begin(), value.end(), is_odd);
}

bool holds_numbers(const Json& value) {
  return value.is_number() ||
         (value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& one) { return one.is_number(); }));
}

/// The fields of numbers of a config and of the maps within it.
void collect(const Json& map, const Suspect& within, std::vector<Suspect>& out) {
  for (const auto& [key, value] : map.items()) {
    const Suspect one{within.place / key, within.path.empty() ? key : within.path + "." + key, false};
    if (value.is_object())
      collect(value, one, out);
    else if (holds_numbers(value))
      out.push_back({one.place, one.path, is_odd(value)});
  }
}

bool can_be_defined(const FailedModel& model, const Json& config) {
  try {
    const OnnxConfig made = OnnxConfig::component(model.plugin, config, model.wanted, 0);
    std::vector<std::string> graphs = made.parts();
    graphs.emplace_back();
    WeightSource any;
    made.define_parts(any, graphs);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// What the plugin said, without whose plugin it is and where in its source it was said.
std::string_view said(std::string_view message) {
  constexpr std::string_view intro = "failed for model type '", behind = "': ";
  const size_t start = message.find(intro);
  const size_t end = start == message.npos ? start : message.find(behind, start + intro.size());
  if (end != message.npos) message.remove_prefix(end + behind.size());
  const size_t place = message.rfind(" (at ");
  return message.ends_with(')') && place != message.npos ? message.substr(0, place) : message;
}

}  // namespace

Error blamed_on_field(const FailedModel& model, const Error& error) {
  constexpr std::chrono::seconds patience{4};
  // Of an extension's names a field that is called otherwise is looked for first, and told as the extension's mistake.
  const bool is_extended = model.plugin.names != nullptr;
  if (searches || is_extended || error.failure() != Failure::plugin || !model.config.is_object()) return error;
  const Search search;
  // What goes wrong behind the plugin's definition is none of these fields' fault.
  if (can_be_defined(model, model.config)) return error;
  std::vector<Suspect> suspects;
  collect(model.config, Suspect(), suspects);
  std::stable_partition(suspects.begin(), suspects.end(), [](const Suspect& one) { return one.odd; });
  const auto begun = std::chrono::steady_clock::now();
  for (const Suspect& suspect : suspects) {
    if (std::chrono::steady_clock::now() - begun > patience) break;
    Json without = model.config;
    without.at(suspect.place.parent_pointer()).erase(suspect.place.back());
    if (!can_be_defined(model, without)) continue;
    const std::string hint =
        suspect.odd ? "correct config.json; without this field the class's default stands for it"
                    : fmt::format(
                          "correct config.json where that is a mistake; if not, plugin {} does not have such a "
                          "model",
                          model.plugin.plugin_id);
    return {Failure::checkpoint,
            fmt::format("config field '{}' is {}, of which no model can be made: {}", suspect.path,
                        model.config.at(suspect.place).dump(), said(error.what())),
            hint};
  }
  return error;
}

}  // namespace onnxport

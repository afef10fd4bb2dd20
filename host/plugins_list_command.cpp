// SPDX-License-Identifier: Apache-2.0
// onnxport plugins list: every plugin that was found, and what loading it shows.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "host/commands.hpp"
#include "host/model/loading_cache.hpp"
#include "host/model/selection.hpp"
#include "host/report/candidate.hpp"

namespace onnxport {

int run_plugins_list(const PluginArguments& arguments, Console& console) {
  const std::unique_ptr<Registry> registry = discover(arguments);
  const std::vector<std::string> sums = find_what_loads(*registry);
  auto& json = console.result();
  json["places"] = nlohmann::ordered_json::array();
  json["plugins"] = nlohmann::ordered_json::array();
  for (size_t place = 0; place < registry->places().size(); ++place) {
    const Place& searched = registry->places()[place];
    json["places"].push_back(
        {{"name", searched.name}, {"directory", searched.directory.string()}, {"exists", searched.exists}});
    console.line(fmt::format("{}: {}{}", searched.name, searched.directory.string(),
                             searched.exists ? "" : " (does not exist)"));
    for (size_t i = 0; i < registry->candidates().size(); ++i) {
      const Candidate& candidate = registry->candidates()[i];
      if (candidate.place_index != place) continue;
      json["plugins"].push_back(json_of(candidate));
      if (!sums[i].empty()) json["plugins"].back()["sha256"] = sums[i];
      const std::string& id = candidate.manifest.id.empty() ? candidate.manifest_path.string() : candidate.manifest.id;
      console.line(fmt::format("  {:<12} {} {}: {}", to_string(candidate.state), id, candidate.manifest.version,
                               fmt::join(types_of(candidate), ", ")));
      if (!candidate.reason.empty()) console.block(candidate.reason, 15);
      if (!candidate.hint.empty()) console.block(candidate.hint, 15);
    }
  }
  for (const std::string& note : registry->notes()) console.note(note);
  json["status"] = "ok";
  return 0;
}

}  // namespace onnxport

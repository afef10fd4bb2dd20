// SPDX-License-Identifier: Apache-2.0
// onnxport features: reads manifests and opens no library.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "host/commands.hpp"
#include "host/model/selection.hpp"

namespace onnxport {
namespace {

/// The gaps as --json has them.
nlohmann::ordered_json told(const std::vector<Manifest::KnownGap>& gaps) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Manifest::KnownGap& gap : gaps) {
    nlohmann::ordered_json& entry = list.emplace_back(nlohmann::ordered_json::object());
    if (!gap.architecture.empty()) entry["architecture"] = gap.architecture;
    if (!gap.feature.empty()) entry["feature"] = gap.feature;
    if (!gap.option.empty()) entry["option"] = gap.option;
    entry["reason"] = gap.reason;
  }
  return list;
}

}  // namespace

int run_features(const FeaturesArguments& arguments, Console& console) {
  const std::unique_ptr<Registry> registry = discover(arguments.plugins);
  nlohmann::ordered_json types = nlohmann::ordered_json::object(), gaps = types;
  if (!arguments.model_type.empty()) {
    const Resolved resolved = registry->resolve(arguments.model_type);
    types[arguments.model_type] = resolved.model->features;
    for (const std::string& feature : resolved.model->features) {
      std::vector<std::string> aliases = FeaturesManager::aliases_of(feature);
      for (const auto& [own, theirs] : resolved.candidate->manifest.feature_names) {
        if (theirs == feature) aliases.push_back(own);
      }
      const std::string also = aliases.empty() ? "" : fmt::format("(also {})", fmt::join(aliases, ", "));
      console.line(also.empty() ? feature : fmt::format("{:<36} {}", feature, also));
    }
    gaps[arguments.model_type] = told(resolved.model->known_gaps);
    if (!resolved.model->known_gaps.empty()) console.line("known not to work:");
    for (const Manifest::KnownGap& gap : resolved.model->known_gaps)
      console.line(fmt::format("  {}: {}", gap.what(), gap.reason));
  } else {
    const std::vector<std::string> known = registry->model_types();
    // Types are there once each. To look for each one among those before it, and to move them all as the object grows,
    // is a quarter of what the command takes.
    std::vector<std::string> lines;
    auto& entries = types.get_ref<nlohmann::ordered_json::object_t&>();
    entries.reserve(known.size());
    for (const std::string& type : known) {
      // Types of plugins that conflict are told by `plugins list`; one of them does not hide the others here.
      try {
        const Resolved resolved = registry->resolve(type);
        const auto& names = resolved.model->features;
        entries.push_back({type, names});
        if (!resolved.model->known_gaps.empty()) gaps[type] = told(resolved.model->known_gaps);
        lines.push_back(fmt::format("{:<24} {}", type, fmt::join(names, ", ")));
      } catch (const std::exception& reason) {
        console.note(fmt::format("{}: {}", type, reason.what()));
      }
    }
    console.lines(lines);
    if (types.empty()) console.note("no plugin was found; `onnxport plugins list` shows where was looked");
  }
  auto& json = console.result();
  json["model_types"] = std::move(types);
  json["known_gaps"] = std::move(gaps);
  json["status"] = "ok";
  return 0;
}

}  // namespace onnxport

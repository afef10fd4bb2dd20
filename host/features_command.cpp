// SPDX-License-Identifier: Apache-2.0
// onnxport features: reads manifests and opens no library.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "host/commands.hpp"
#include "host/model/selection.hpp"

namespace onnxport {

int run_features(const FeaturesArguments& arguments, Console& console) {
  const std::unique_ptr<Registry> registry = discover(arguments.plugins);
  const FeaturesManager features(*registry);
  auto& json = console.result()["model_types"] = nlohmann::ordered_json::object();
  if (!arguments.model_type.empty()) {
    const Resolved resolved = registry->resolve(arguments.model_type);
    json[arguments.model_type] = resolved.model->features;
    for (const std::string& feature : resolved.model->features) {
      const std::vector<std::string> aliases = FeaturesManager::aliases_of(feature);
      const std::string also = aliases.empty() ? "" : fmt::format("(also {})", fmt::join(aliases, ", "));
      console.line(also.empty() ? feature : fmt::format("{:<36} {}", feature, also));
    }
  } else {
    for (const std::string& type : features.supported_model_types()) {
      // Types of plugins that conflict are told by `plugins list`; one of them does not hide the others here.
      try {
        const auto& names = features.get_supported_features_for_model_type(type);
        json[type] = names;
        console.line(fmt::format("{:<24} {}", type, fmt::join(names, ", ")));
      } catch (const std::exception& reason) {
        console.note(fmt::format("{}: {}", type, reason.what()));
      }
    }
    if (json.empty()) console.note("no plugin was found; `onnxport plugins list` shows where was looked");
  }
  console.result()["status"] = "ok";
  return 0;
}

}  // namespace onnxport

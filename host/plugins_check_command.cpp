// SPDX-License-Identifier: Apache-2.0
// onnxport plugins check
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "host/commands.hpp"
#include "host/model/selection.hpp"
#include "host/report/candidate.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// Makes an onnx-config for every feature of every type, by the defaults of its config class: a feature that is listed
/// and not defined shows here. What needs more of a config than its type cannot be tried without one. Throws
/// Error(plugin) where one fails by the plugin's fault; yields how many were made.
size_t make_all(const PluginTable& plugin, const Manifest& manifest) {
  size_t made = 0;
  for (const Manifest::Model& model : manifest.models) {
    for (const std::string& type : model.types) {
      const Json config{{"model_type", type}};
      for (const std::string& feature : model.features) {
        try {
          OnnxConfig::from_model_config(plugin, config, type, feature);
          ++made;
        } catch (const Error& error) {
          if (error.failure() == Failure::plugin) throw;
        }
      }
    }
  }
  return made;
}

}  // namespace

int run_plugins_check(const PluginsCheckArguments& arguments, Console& console) {
  std::error_code ignored;
  // A library is known by the manifest beside it.
  const fs::path path = fs::weakly_canonical(arguments.path, ignored);
  if (!fs::exists(path, ignored))
    throw Error(Failure::usage, "there is no " + arguments.path.string(), "name a plugin's library or folder");
  const fs::path folder = fs::is_directory(path, ignored) ? path : path.parent_path();
  PluginArguments plugins = arguments.plugins;
  plugins.plugin_dirs.insert(plugins.plugin_dirs.begin(), folder);
  plugins.heeds_quarantine = false;  // whoever checks a plugin wants to see what it does
  const std::unique_ptr<Registry> registry = discover(plugins);
  auto& json = console.result();
  json["plugins"] = nlohmann::ordered_json::array();
  size_t checked = 0;
  for (const Candidate& candidate : registry->candidates()) {
    if (candidate.place_index != 0) continue;
    ++checked;
    json["plugins"].push_back(json_of(candidate));
    if (!candidate.is_healthy())
      throw Error(Failure::plugin, candidate.manifest_path.string() + ": " + candidate.reason, candidate.hint);
    const LoadedPlugin& plugin = load(candidate, plugin_host());
    console.line(fmt::format("{} {} ({}), licence {}", candidate.manifest.id, candidate.manifest.version,
                             candidate.manifest.name,
                             candidate.manifest.license.empty() ? "not told" : candidate.manifest.license));
    console.line(fmt::format("  library      {}", plugin.library.string()));
    console.line(fmt::format("  sha256       {}", plugin.sha256));
    console.line(fmt::format("  ABI          needs {}.{}, this program has {}.{}", plugin.plugin->magic.abi_major,
                             plugin.plugin->magic.abi_minor_needed, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR));
    for (const Manifest::Model& model : candidate.manifest.models) {
      console.line(fmt::format("  model types  {}: {}", fmt::join(model.types, ", "), fmt::join(model.features, ", ")));
    }
    const size_t made = make_all(FeaturesManager(*registry).table_of(candidate), candidate.manifest);
    json["plugins"].back()["features_made"] = made;
    console.line(fmt::format("  features     {} made by the defaults of config.json", made));
    if (!candidate.reason.empty()) console.block("note         " + candidate.reason, 2);
  }
  if (checked == 0) {
    throw Error(Failure::plugin, "there is no plugin in " + folder.string(),
                "a plugin is a folder with plugin.yaml and the library that it names");
  }
  console.line("it loads, and its facts equal those of plugin.yaml");
  json["status"] = "ok";
  return 0;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// onnxport plugins check: loads a plugin and reports; with --run, tries all that it offers.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/on_demand.hpp"
#include "host/author/try_plugin.hpp"
#include "host/commands.hpp"
#include "host/model/selection.hpp"
#include "host/report/candidate.hpp"
#include "host/report/trials.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// A plugin's folder, given the folder or the library.
fs::path folder_of(const fs::path& plugin) {
  std::error_code ignored;
  const fs::path path = fs::weakly_canonical(plugin, ignored);
  if (!fs::exists(path, ignored))
    throw Error(Failure::usage, "there is no " + plugin.string(), "name a plugin's library or folder");
  return fs::is_directory(path, ignored) ? path : path.parent_path();
}

/// Whether the candidate is the one whose library, manifest or folder was named.
bool is_named(const Candidate& candidate, const fs::path& plugin) {
  std::error_code ignored;
  if (!fs::is_regular_file(plugin, ignored)) return true;  // all of a folder
  const fs::path folder = candidate.manifest_path.parent_path();
  return fs::equivalent(candidate.manifest_path, plugin, ignored) ||
         fs::equivalent(folder / candidate.manifest.library, plugin, ignored);
}

/// Throws Error(usage) for a back end, which is no plugin and cannot be tried like one.
void refuse_back_ends(const fs::path& plugin, const fs::path& folder) {
  std::error_code ignored;
  if (!fs::equivalent(folder, on_demand_path("reference").parent_path(), ignored)) return;
  throw Error(Failure::usage,
              plugin.string() + (fs::is_directory(plugin, ignored) ? " holds back ends, and no plugins"
                                                                   : " is a back end, and no plugin"),
              "name a plugin's folder; whether back ends work is told by an export that validates");
}

/// Makes an onnx-config for every feature of every type, by the defaults of its config class: a feature that is listed
/// and not defined shows here. What needs more of a config than its type cannot be tried without one. Throws
/// Error(plugin) where one fails by the plugin's fault; yields how many were made.
size_t make_all(const Registry& registry, const Candidate& candidate) {
  const FeaturesManager features(registry);
  size_t made = 0;
  for (const Manifest::Model& model : candidate.manifest.models) {
    for (const std::string& type : model.types) {
      for (const std::string& feature : model.features) {
        const auto supported = features.check_supported_model_or_raise(type, feature, candidate.manifest.id);
        try {
          OnnxConfig::from_model_config(features.table_of(supported), {{"model_type", type}}, supported.model_type,
                                        feature);
          ++made;
        } catch (const Error& error) {
          if (error.failure() == Failure::plugin) throw;
        }
      }
    }
  }
  return made;
}

void check(const Registry& registry, const Candidate& candidate, Console& console) {
  const LoadedPlugin& plugin = load(candidate, plugin_host());
  console.line(fmt::format("{} {} ({}), licence {}", candidate.manifest.id, candidate.manifest.version,
                           candidate.manifest.name,
                           candidate.manifest.license.empty() ? "not told" : candidate.manifest.license));
  if (candidate.manifest.is_extension()) console.line(fmt::format("  extends      {}", candidate.manifest.extends));
  console.line(fmt::format("  library      {}", plugin.library.string()));
  console.line(fmt::format("  sha256       {}", plugin.sha256));
  console.line(fmt::format("  ABI          needs {}.{}, this program has {}.{}", plugin.plugin->magic.abi_major,
                           plugin.plugin->magic.abi_minor_needed, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR));
  for (const Manifest::Model& model : candidate.manifest.models)
    console.line(fmt::format("  model types  {}: {}", fmt::join(model.types, ", "), fmt::join(model.features, ", ")));
  Json& json = console.result()["plugins"].back();
  const size_t made = make_all(registry, candidate);
  json["sha256"] = plugin.sha256;
  json["features_made"] = made;
  console.line(fmt::format("  features     {} made by the defaults of config.json", made));
  if (!candidate.reason.empty()) console.block("note         " + candidate.reason, 2);
}

/// The options that say which plugins count, for another process.
std::vector<std::string> words_of(const PluginArguments& plugins, const std::string& id) {
  std::vector<std::string> words{"--plugin", id};
  for (const fs::path& folder : plugins.plugin_dirs) words.insert(words.end(), {"--plugin-dir", folder.string()});
  if (plugins.trust) words.insert(words.end(), {"--trust", plugins.trust->string()});
  if (plugins.safe) words.emplace_back("--safe");
  if (plugins.ignores_quarantine) words.emplace_back("--ignore-quarantine");
  return words;
}

std::vector<Sample> samples_of(const PluginsCheckArguments& arguments) {
  std::vector<Sample> samples;
  const auto add = [&](std::vector<Sample> more) {
    samples.insert(samples.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  for (const fs::path& folder : arguments.cases) add(samples_of_cases(folder));
  for (const fs::path& config : arguments.configs) add(samples_of_configs(config));
  if (samples.empty()) {
    throw Error(Failure::usage, "--run needs a model to try the plugin on",
                "name a folder of recorded cases with --cases, or a config.json with --config");
  }
  return samples;
}

/// Yields the exit status.
int run_trials(const PluginsCheckArguments& arguments, const PluginArguments& plugins, const Candidate& candidate,
               Console& console) {
  const std::vector<Sample> samples = samples_of(arguments);
  const auto each = [&](const TrialResult& result) { print_text(result, console); };
  const PluginTrials trials = try_plugin({candidate.manifest, samples, words_of(plugins, candidate.manifest.id),
                                          std::chrono::seconds(arguments.limit), each});
  print_text(trials, console);
  fill_json(trials, console.result()["plugins"].back());
  if (trials.passes()) return 0;
  const bool differs = std::all_of(trials.results.begin(), trials.results.end(),
                                   [](const TrialResult& result) { return result.passes() || result.differs_only; });
  const Failure failure = differs && trials.without_sample.empty() ? Failure::differs : Failure::plugin;
  console.fail(static_cast<int>(failure), failure == Failure::differs ? "differs" : "plugin",
               fmt::format("the plugin {} does not do all that it offers", candidate.manifest.id),
               "what is wrong stands above, by feature and opset");
  return static_cast<int>(failure);
}

}  // namespace

int run_plugins_check(const PluginsCheckArguments& arguments, Console& console) {
  const fs::path folder = folder_of(arguments.path);
  refuse_back_ends(arguments.path, folder);
  PluginArguments plugins = arguments.plugins;
  plugins.plugin_dirs.insert(plugins.plugin_dirs.begin(), folder);
  plugins.ignores_quarantine = true;  // whoever checks a plugin wants to see what it does
  const std::unique_ptr<Registry> registry = discover(plugins);
  auto& json = console.result();
  json["plugins"] = nlohmann::ordered_json::array();
  json["status"] = "ok";
  size_t checked = 0;
  int status = 0;
  for (const Candidate& candidate : registry->candidates()) {
    if (candidate.place_index != 0 || !is_named(candidate, arguments.path)) continue;
    ++checked;
    json["plugins"].push_back(json_of(candidate));
    if (!candidate.is_healthy())
      throw Error(Failure::plugin, candidate.manifest_path.string() + ": " + candidate.reason, candidate.hint);
    check(*registry, candidate, console);
    if (arguments.run) status = std::max(status, run_trials(arguments, plugins, candidate, console));
  }
  if (checked == 0) {
    std::error_code ignored;
    const bool is_file = fs::is_regular_file(arguments.path, ignored);
    throw Error(
        Failure::plugin,
        is_file ? arguments.path.string() + " is no library of a plugin" : "there is no plugin in " + folder.string(),
        "a plugin is a folder with plugin.yaml and the library that it names");
  }
  if (!arguments.run) console.line("it loads, and its facts equal those of plugin.yaml");
  return status;
}

}  // namespace onnxport

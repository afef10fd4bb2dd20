// SPDX-License-Identifier: Apache-2.0
// onnxport plugins new
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/output/staging.hpp"
#include "host/author/new_plugin.hpp"
#include "host/commands.hpp"
#include "host/model/selection.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The model type that a config is of; the plugin's own name where there is no config.
std::string type_of(const PluginsNewArguments& arguments, const Json& config) {
  if (arguments.config.empty()) return arguments.name;
  const auto type = config.find("model_type");
  if (type != config.end() && type->is_string()) return type->get<std::string>();
  throw Error(Failure::checkpoint, arguments.config.string() + " states no model_type",
              "write the model's type into it");
}

}  // namespace

int run_plugins_new(const PluginsNewArguments& arguments, Console& console) {
  require_plugin_name(arguments.name);
  const fs::path folder = arguments.folder.empty() ? fs::path(arguments.name) : arguments.folder;
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_empty(folder, ignored))
    throw Error(Failure::usage, folder.string() + " is there already", "name another folder, or remove that one");
  const Json config = arguments.config.empty() ? Json::object() : read_json(arguments.config);
  const std::unique_ptr<Registry> registry = discover(arguments.plugins);
  const std::string like =
      arguments.like.empty() && !arguments.config.empty() ? nearest_type(*registry, config) : arguments.like;

  StagedOutput output(folder);
  const NewPlugin plugin{arguments.name, type_of(arguments, config), output.folder()};
  if (like.empty()) {
    write_from_template(plugin);
  } else {
    write_from_sample(plugin, sample_of_type(*registry, like), arguments.config);
  }
  output.commit();

  auto& json = console.result();
  json["status"] = "ok";
  json["output"] = output.final_folder().string();
  json["model_type"] = plugin.model_type;
  if (!like.empty()) json["like"] = like;
  const std::string source =
      like.empty() ? "a small text classifier to write over" : fmt::format("the definition of {}", like);
  const bool guessed = !like.empty() && arguments.like.empty();
  console.line(fmt::format("done: {} defines the model type {}; it begins as {}{}", output.final_folder().string(),
                           plugin.model_type, source,
                           guessed ? ", whose config has the most fields in common (--like TYPE picks another)" : ""));
  console.line(fmt::format("next: edit {}.cpp, then ONNXPORT_PREFIX=where/onnxport/is {}/check", arguments.name,
                           folder.string()));
  return 0;
}

}  // namespace onnxport

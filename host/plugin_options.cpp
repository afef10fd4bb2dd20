// SPDX-License-Identifier: Apache-2.0
// What `onnxport plugins` accepts.
#include "host/commands.hpp"
#include "host/options.hpp"
#include "host/trust_options.hpp"

namespace onnxport {
namespace {

void define_plugins_new(CLI::App& plugins, Arguments& a) {
  CLI::App* app = plugins.add_subcommand("new", "Begin a plugin: a project that builds and passes its test");
  PluginsNewArguments& n = a.plugins_new;
  app->add_option("NAME", n.name, "What it is called: my-encoder")->required()->option_text(" ");
  app->add_option("OUTPUT", n.folder, "Its folder (default: NAME)")->option_text(" ");
  app->add_option("--like", n.like, "Begin with the source of this model type")->type_name("TYPE");
  app->add_option("--from", n.config, "The config.json of the model; without --like, begin with the type most like it")
      ->type_name("CONFIG");
  add_plugin_options(*app, n.plugins);
  add_report_options(*app, a);
  app->footer(
      "Examples:\n"
      "  onnxport plugins new my-encoder\n"
      "  onnxport plugins new my-encoder --like roformer\n"
      "  onnxport plugins new my-encoder --from config.json");
  app->callback([&a] { a.run = [&a](Console& console) { return run_plugins_new(a.plugins_new, console); }; });
}

/// How a plugin is tried.
void add_trial_options(CLI::App& app, PluginsCheckArguments& check) {
  CLI::Option* run = app.add_flag("--run", check.run,
                                  "Export and validate every type and feature, at the lowest and the highest opset");
  app.add_option("--cases", check.cases, "Folder of recorded cases with an index.json (repeatable)")
      ->type_name("DIR")
      ->allow_extra_args(false)
      ->needs(run);
  app.add_option("--config", check.configs,
                 "A config.json, or a folder of configs, for what is not recorded (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->needs(run);
  app.add_option("--time-limit", check.limit, "Seconds after which a step is stopped (default 300)")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->needs(run);
}

}  // namespace

void define_plugins(CLI::App& root, Arguments& a) {
  CLI::App* plugins = root.add_subcommand("plugins", "Look at the plugins that define the model types");
  plugins->require_subcommand(1);
  CLI::App* list = plugins->add_subcommand("list", "Every plugin that was found, where, and whether it can be used");
  add_plugin_options(*list, a.plugins_list);
  add_report_options(*list, a);
  list->callback([&a] { a.run = [&a](Console& console) { return run_plugins_list(a.plugins_list, console); }; });
  define_plugins_new(*plugins, a);
  CLI::App* check = plugins->add_subcommand("check", "Load a plugin and report; with --run, try all that it offers");
  check->add_option("PLUGIN", a.plugins_check.path, "Its folder, or its library")->required()->option_text(" ");
  add_trial_options(*check, a.plugins_check);
  add_plugin_options(*check, a.plugins_check.plugins);
  add_report_options(*check, a);
  check->callback(running_plugins(a, [&a](Console& console) { return run_plugins_check(a.plugins_check, console); }));
  define_trust_commands(*plugins, a.trust, [&a](CLI::App& app, const std::function<int(Console&)>& run) {
    add_report_options(app, a);
    app.callback([&a, run] { a.run = run; });
  });
}

}  // namespace onnxport

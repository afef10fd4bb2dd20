// SPDX-License-Identifier: Apache-2.0
#include "host/trust_options.hpp"

#include "host/commands.hpp"

namespace onnxport {
namespace {

void define_trust(CLI::App& plugins, PluginsTrustArguments& a, const FinishCommand& finish) {
  CLI::App* app = plugins.add_subcommand("trust", "Add a plugin to the policy that says which ones may be loaded");
  app->add_option("PATH", a.path, "The plugin's folder or library")->required()->option_text(" ");
  app->add_option("--by", a.by, "What of it is known then (default: what the policy requires, or its sum)")
      ->check(CLI::IsMember({"sha256", "directory", "publisher", "id"}));
  app->add_option("--policy", a.policy, "The policy to change (default: the user's)")->type_name("FILE");
  finish(*app, [&a](Console& console) { return run_plugins_trust(a, console); });
}

void define_sign(CLI::App& plugins, PluginsSignArguments& a, const FinishCommand& finish) {
  CLI::App* app = plugins.add_subcommand("sign", "Sign a plugin with a publisher's key");
  app->add_option("PATH", a.path, "The plugin's folder, or a back end's library")->option_text(" ");
  CLI::Option* key =
      app->add_option("--key", a.key, "Private Ed25519 key in PEM, as OpenSSL writes it")->type_name("FILE");
  app->add_option("--make-key", a.make_key, "Make such a key")->type_name("FILE")->excludes(key);
  app->footer(
      "Examples:\n"
      "  onnxport plugins sign --make-key acme.pem\n"
      "  onnxport plugins sign --key acme.pem plugins/acme");
  finish(*app, [&a](Console& console) { return run_plugins_sign(a, console); });
}

void define_verify(CLI::App& plugins, PluginsVerifyArguments& a, const FinishCommand& finish) {
  CLI::App* app =
      plugins.add_subcommand("verify", "Check a plugin's sum and signature, and say what the policies make of it");
  app->add_option("PATH", a.path, "The plugin's folder or library")->required()->option_text(" ");
  app->add_option("--trust", a.plugins.trust, "Policy besides the machine's")->type_name("FILE");
  finish(*app, [&a](Console& console) { return run_plugins_verify(a, console); });
}

void define_quarantine(CLI::App& plugins, QuarantineArguments& a, const FinishCommand& finish) {
  CLI::App* app = plugins.add_subcommand(
      "quarantine", "Plugins that are not loaded since they ended the process, and why; --clear lets them out");
  app->add_option("PLUGIN", a.which, "Only this one: its id, its library or the beginning of its sum")
      ->option_text(" ");
  app->add_flag("--clear", a.clear, "Have them loaded again");
  finish(*app, [&a](Console& console) { return run_plugins_quarantine(a, console); });
}

}  // namespace

void define_trust_commands(CLI::App& plugins, TrustCommandArguments& arguments, const FinishCommand& finish) {
  define_trust(plugins, arguments.trust, finish);
  define_sign(plugins, arguments.sign, finish);
  define_verify(plugins, arguments.verify, finish);
  define_quarantine(plugins, arguments.quarantine, finish);
}

}  // namespace onnxport

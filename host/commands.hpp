// SPDX-License-Identifier: Apache-2.0
// One function a command. Each returns the exit status of a run that came to its end, and throws Error otherwise.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/plan/arguments.hpp"
#include "host/process/console.hpp"

namespace CLI {
class App;
}

namespace onnxport {

int run_export(const ExportArguments& arguments, Console& console);
int run_validate(const ValidateArguments& arguments, Console& console);
int run_features(const FeaturesArguments& arguments, Console& console);
int run_explain(const ExplainArguments& arguments, Console& console);
int run_diff(const DiffArguments& arguments, Console& console);
int run_import(const ImportArguments& arguments, Console& console);
int run_transform(const TransformArguments& arguments, Console& console);
/// With --layout.
int run_transform_layout(const TransformArguments& arguments, Console& console);
int run_inspect(const InspectArguments& arguments, Console& console);
int run_plugins_list(const PluginArguments& arguments, Console& console);
int run_plugins_new(const PluginsNewArguments& arguments, Console& console);
int run_plugins_check(const PluginsCheckArguments& arguments, Console& console);
int run_plugins_trust(const PluginsTrustArguments& arguments, Console& console);
int run_plugins_sign(const PluginsSignArguments& arguments, Console& console);
int run_plugins_verify(const PluginsVerifyArguments& arguments, Console& console);
int run_plugins_quarantine(const QuarantineArguments& arguments, Console& console);
int run_record(Console& console);
int run_synth(const SynthArguments& arguments, Console& console);

/// Parses the command line and runs the command.
int run_command_line(int argc, char** argv);

/// The same for a program that embeds this: the words of one command without its name. Where `console` does not own the
/// process, nothing of the process is changed, and several may run at once.
int run_words(const std::vector<std::string>& words, Console& console);

/// Lends the parser of the command line, of which manual pages and completions are made.
void with_command_line(const std::function<void(const CLI::App&)>& use);

}  // namespace onnxport

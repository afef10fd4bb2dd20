// SPDX-License-Identifier: Apache-2.0
// One function a command. Each returns the exit status of a run that came to its end, and throws Error otherwise.
#pragma once

#include "host/plan/arguments.hpp"
#include "host/process/console.hpp"

namespace onnxport {

int run_export(const ExportArguments& arguments, Console& console);
int run_validate(const ValidateArguments& arguments, Console& console);
int run_features(const FeaturesArguments& arguments, Console& console);
int run_inspect(const InspectArguments& arguments, Console& console);
int run_plugins_list(const PluginArguments& arguments, Console& console);
int run_plugins_new(const PluginsNewArguments& arguments, Console& console);
int run_plugins_check(const PluginsCheckArguments& arguments, Console& console);
int run_record(Console& console);
int run_synth(const SynthArguments& arguments, Console& console);

/// Parses the command line and runs the command.
int run_command_line(int argc, char** argv);

}  // namespace onnxport

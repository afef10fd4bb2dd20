// SPDX-License-Identifier: Apache-2.0
// What the commands accept: each define_…() adds one to the program and says what it does once it is named.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

#include "host/plan/arguments.hpp"
#include "host/process/console.hpp"

namespace onnxport {

/// All that can be asked for, filled by the parser.
struct Arguments {
  ExportArguments export_model;
  ValidateArguments validate;
  FeaturesArguments features;
  TransformArguments transform;
  ImportArguments import_script;
  InspectArguments inspect;
  DiffArguments diff;
  ExplainArguments explain;
  PluginArguments plugins_list;
  PluginsNewArguments plugins_new;
  PluginsCheckArguments plugins_check;
  TrustCommandArguments trust;
  SynthArguments synth;
  bool quiet = false, json = false, json_line = false;
  std::filesystem::path report;  // a file to write; empty: none
  /// Set by the command that was named.
  std::function<int(Console&)> run;
  /// Whether that runs the code of plugins.
  bool runs_plugins = false;
};

/// What a command that runs the code of plugins does once it is named.
std::function<void()> running_plugins(Arguments& a, const std::function<int(Console&)>& run);

// --- options that several commands have ---------------------------------------------------------------------------

/// Turns "500MB" into a number of bytes above 0.
CLI::Validator size_value();
/// --quiet, --json, --json-line
void add_report_options(CLI::App& app, Arguments& a);
/// --report
void add_report_file_option(CLI::App& app, Arguments& a);
/// --plugin-dir, --trust, --safe
void add_plugin_options(CLI::App& app, PluginArguments& plugins);
/// Where the checkpoint comes from: -m and what goes with it. Yields -m.
CLI::Option* add_model_options(CLI::App& app, ModelArguments& model);
/// --validate, --calibration, --trace-values, --segment-size, --reference
void add_depth_options(CLI::App& app, DepthArguments& depth);

// --- commands -----------------------------------------------------------------------------------------------------

void define_export(CLI::App& root, Arguments& a);
/// The options of `export` in the form of transformers.onnx, which has no command.
void define_legacy(CLI::App& root, Arguments& a);
void define_validate(CLI::App& root, Arguments& a);
/// transform, pack, unpack, inspect, diff
void define_file_commands(CLI::App& root, Arguments& a);
/// import-torchscript
void define_import(CLI::App& root, Arguments& a);
/// features, explain, record, synth
void define_model_commands(CLI::App& root, Arguments& a);
/// plugins list, new, check and those of trust
void define_plugins(CLI::App& root, Arguments& a);

}  // namespace onnxport

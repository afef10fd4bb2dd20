// SPDX-License-Identifier: Apache-2.0
// The command line: what is accepted, and the help. What is not accepted is explained in usage_error.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnxport/abi.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/package/layout.hpp"
#include "core/version.hpp"
#include "host/commands.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/input_plan.hpp"
#include "host/plan/package.hpp"
#include "host/process/contained.hpp"
#include "host/process/terminal.hpp"
#include "host/report/reported_run.hpp"
#include "host/trust_options.hpp"
#include "host/usage_error.hpp"

namespace onnxport {
namespace {

/// All that can be asked for, filled by the parser.
struct Arguments {
  ExportArguments export_model;
  ValidateArguments validate;
  FeaturesArguments features;
  TransformArguments transform;
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

const char* const commands[] = {"export",  "validate", "features", "explain", "transform", "pack", "unpack",
                                "inspect", "diff",     "plugins",  "record",  "synth",     "help"};

/// What a command that runs the code of plugins does once it is named.
std::function<void()> running_plugins(Arguments& a, const std::function<int(Console&)>& run) {
  return [&a, run] {
    a.run = run;
    a.runs_plugins = true;
  };
}

/// "single: one graph; split: …; or a package, …: genai, …"
std::string layout_help() {
  std::string text;
  for (const Layout& layout : layouts()) text += fmt::format("{}: {}; ", layout.name, layout.summary);
  return text + fmt::format("or a package, a folder that other programs load: {}, or the path of one",
                            fmt::join(package_names(), ", "));
}

/// Flags that scripts written for transformers.onnx pass.
constexpr const char* legacy_group = "Of transformers.onnx";

void add_report_options(CLI::App& app, Arguments& a) {
  app.add_flag("-q,--quiet", a.quiet, "Say nothing but errors");
  app.add_flag("--json", a.json, "Print one JSON object on standard output, also for errors; with --quiet as well");
  app.add_flag("--json-line", a.json_line, "The same in one line");
}

void add_report_file_option(CLI::App& app, Arguments& a) {
  app.add_option("--report", a.report, "Write what was done and found to this file, which ends in .html or .json")
      ->type_name("FILE");
}

void add_plugin_options(CLI::App& app, PluginArguments& plugins) {
  CLI::Option* folders = app.add_option("--plugin-dir", plugins.plugin_dirs, "Look for plugins here first (repeatable)")
                             ->type_name("DIR")
                             ->allow_extra_args(false);
  app.add_option("--trust", plugins.trust, "Policy that says which plugins may be loaded")->type_name("FILE");
  app.add_flag("--safe", plugins.safe, "Load nothing but the plugins and back ends that came with the program")
      ->excludes(folders);
}

/// Where the checkpoint comes from; of an export and of a validation.
template <class Command>
CLI::Option* add_model_options(CLI::App& app, Command& command) {
  CLI::Option* model =
      app.add_option("-m,--model", command.model.name,
                     "Folder with config.json and the weights, or a model id (ORG/NAME), which is downloaded unless it "
                     "is in the cache")
          ->type_name("MODEL");
  app.add_option("--revision", command.model.revision, "Branch, tag or commit of a model id (default: main)")
      ->type_name("REV")
      ->needs(model);
  app.add_flag("--refresh", command.model.refresh, "Ask the hub where the revision is now, whatever the cache says")
      ->needs(model);
  app.add_option("--cache_dir,--cache-dir", command.model.cache_dir,
                 "Cache of model ids (default: as huggingface_hub, HF_HUB_CACHE or HF_HOME)")
      ->type_name("DIR")
      ->needs(model);
  return model;
}

/// What transformers.onnx has as well, with the same meaning.
void add_shared_options(CLI::App& app, ExportArguments& e) {
  add_model_options(app, e)->required();
  app.add_option("--feature", e.feature, "What the model is for (default: by config.json's architectures)")
      ->type_name("NAME");
  app.add_option("--opset", e.opset,
                 fmt::format("ONNX opset, {} to {} (default: the model's)", lowest_opset, highest_opset))
      ->type_name("N");
  app.add_option("--atol", e.atol, "Largest absolute difference that validation accepts (default: the model's)")
      ->type_name("X");
  app.add_option("--framework", e.framework, "The checkpoint's framework; tf is refused")
      ->check(CLI::IsMember({"pt", "tf"}))
      ->group(legacy_group);
  app.add_option("--preprocessor", e.preprocessor, "What validation's inputs are made with")
      ->check(CLI::IsMember(names_of(preprocessor_choices)))
      ->group(legacy_group);
  app.add_option("OUTPUT", e.output, "Folder, or a file name that ends in .onnx")->required()->option_text(" ");
}

template <class ExportOrValidate>
void add_depth_options(CLI::App& app, ExportOrValidate& a) {
  app.add_option("--validate", a.budget,
                 "On how many inputs to compare: quick, default, or thorough (each axis by itself as well)")
      ->check(CLI::IsMember(names_of(budget_choices)));
  app.add_flag("--trace-values", a.trace_values, "List every step of the model with how far it is off");
}

/// What of its inputs a file fixes, narrows or adds, and what is to run it.
void add_shape_options(CLI::App& app, ExportArguments& e) {
  app.add_option("--fix", e.fixed, "Give an axis of the inputs a size: batch=1 (repeatable)")
      ->type_name("AXIS=N")
      ->allow_extra_args(false);
  app.add_option("--ids", e.ids, "Type of ids, masks and positions: int64 or int32")
      ->check(CLI::IsMember(names_of(id_choices)));
  app.add_flag("--num-logits-to-keep", e.kept_logits,
               "Take num_logits_to_keep, an input that says of how many last tokens the logits are wanted");
  app.add_option("--runtime", e.runtime, "The oldest ONNX Runtime that is to run the file: onnxruntime=1.17")
      ->type_name("NAME=VERSION");
}

void add_export_options(CLI::App& app, ExportArguments& e) {
  add_shape_options(app, e);
  app.add_option("--target", e.target, "onnx: standard operators; ort: fused ones of ONNX Runtime")
      ->check(CLI::IsMember(names_of(target_choices)));
  app.add_option(
         "--weights", e.weights,
         "copy: into the model's file, or beside it above 2 GB; embed: always into it; link: refer to the checkpoint")
      ->check(CLI::IsMember(names_of(weight_choices)));
  app.add_flag("--external-data", e.external_data, "Keep the weights in a file beside the model");
  app.add_option("--data-name", e.data_name, "That file's name (default: the model's and _data)")->type_name("NAME");
  app.add_option("--max-memory", e.max_memory, "What the export and its validation may take: 500MB, 4GB")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("SIZE");
  app.add_option("--layout", e.layout, layout_help())->type_name("NAME");
  app.add_option("--position-ids", e.position_ids,
                 "A decoder's positions: sequence (counted after the past, as the model does by itself), mask (counted "
                 "along the attention mask, for batches padded on the left), input (a graph input)")
      ->check(CLI::IsMember(names_of(position_choices)));
  app.add_flag("--attention-mask", e.sample_mask,
               "Give an audio model a mask of its samples as an input, for recordings of different lengths in a batch");
  app.add_option("--dtype", e.dtype,
                 "Type in which weights are stored and computed; inputs and outputs stay as they are")
      ->check(CLI::IsMember(names_of(dtype_choices)));
  app.add_option("--outputs", e.outputs, "Further outputs by name: pooler_output,hidden_states")
      ->delimiter(',')
      ->type_name("A,B")
      ->allow_extra_args(false);
  add_depth_options(app, e);
  app.add_flag("--no-validate", e.no_validate, "Do not compare the written file with the reference");
  app.add_flag("--dry-run", e.dry_run, "Tell what would be written, and write nothing");
  app.add_flag(
      "--skip-existing", e.skip_existing,
      "Do nothing where the output is of an earlier run with the same options and not older than the checkpoint");
  app.add_flag("--allow-unused", e.allow_unused,
               "Accept tensors in the model's own modules that its config does not account for");
  CLI::Option* strict = app.add_flag_callback(
      "--strict-config", [&e] { e.strict_config = true; },
      "Fields of config.json that the plugin does not know are an error (default for types that an extension adds)");
  app.add_flag_callback(
         "--no-strict-config", [&e] { e.strict_config = false; }, "They are a note (default for all other types)")
      ->excludes(strict);
  app.add_flag("--model-card", e.model_card, "Write README.md: base model, task, files, what validation found");
  app.add_flag("--keep-custom-ops", e.keep_custom_ops,
               "Write a plugin's own operators as calls of kernels, without what they are made of");
  app.add_option("--custom-ops", e.custom_ops, "Library that registers such kernels with ONNX Runtime, for validation")
      ->type_name("LIB");
  app.add_option("--plugin", e.plugin, "Use this plugin where several offer the model type")->type_name("ID");
}

void define_export(CLI::App& root, Arguments& a) {
  CLI::App* app = root.add_subcommand("export", "Write a checkpoint as an ONNX model and validate it");
  add_shared_options(*app, a.export_model);
  add_export_options(*app, a.export_model);
  add_plugin_options(*app, a.export_model.plugins);
  add_report_options(*app, a);
  add_report_file_option(*app, a);
  app->footer(
      "Examples:\n"
      "  onnxport export -m all-MiniLM-L6-v2 onnx/\n"
      "  onnxport export -m DIR --feature masked-lm --opset 17 onnx/\n"
      "  onnxport export -m google-bert/bert-base-uncased onnx/      (downloaded, or from the cache)\n"
      "  onnxport export -m DIR --external-data --no-validate onnx/encoder.onnx\n"
      "\n"
      "The output appears whole or not at all. A file whose outputs differ by more than the\n"
      "tolerance is kept, and the exit status is 1.");
  app->callback(running_plugins(a, [&a](Console& console) { return run_export(a.export_model, console); }));
}

void define_validate(CLI::App& root, Arguments& a) {
  CLI::App* app =
      root.add_subcommand("validate", "Compare an exported model with its checkpoint or with recorded outputs");
  ValidateArguments& v = a.validate;
  app->add_option("OUTPUT", v.output, "Folder of an export, or its .onnx file")->required()->option_text(" ");
  add_model_options(*app, v);
  app->add_option("--case", v.cases, "Recorded inputs and outputs: tensors in/NAME and out/NAME (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_depth_options(*app, v);
  app->add_option("--atol", v.atol, "Largest absolute difference that is accepted")->type_name("X");
  app->add_option("--custom-ops", v.custom_ops, "Library that registers kernels of custom operators with ONNX Runtime")
      ->type_name("LIB");
  app->add_option("--plugin", v.plugin, "Use this plugin where several offer the model type")->type_name("ID");
  app->add_option("--feature", v.feature, "What a file of another exporter is for (default: told by its inputs)")
      ->type_name("NAME");
  add_plugin_options(*app, v.plugins);
  add_report_options(*app, a);
  add_report_file_option(*app, a);
  app->footer(
      "Examples:\n"
      "  onnxport validate onnx/ -m all-MiniLM-L6-v2\n"
      "  onnxport validate onnx/ --case case-default-0.safetensors   (needs neither model nor libtorch)");
  app->callback(running_plugins(a, [&a](Console& console) { return run_validate(a.validate, console); }));
}

void add_file_arguments(CLI::App& app, TransformArguments& t) {
  app.add_option("FILE", t.file, "The .onnx file, or a folder with model.onnx")->required()->option_text(" ");
  app.add_option("OUTPUT", t.output, "Folder, or a file name that ends in .onnx")->required()->option_text(" ");
}

void define_transform(CLI::App& root, Arguments& a) {
  TransformArguments& t = a.transform;
  CLI::App* app = root.add_subcommand("transform", "Change the form of a finished ONNX file, whoever wrote it");
  add_file_arguments(*app, t);
  app->add_option("--fix", t.fixed,
                  "Give an axis of the inputs a size: batch=1; INPUT[1]=128 by its place (repeatable)")
      ->type_name("AXIS=N")
      ->allow_extra_args(false);
  app->add_flag("--fp16", t.fp16, "Store weights, and compute, in 16 bits; inputs and outputs stay as they are");
  app->add_option("--ids", t.ids, "Type of inputs that are whole numbers: int64 or int32")
      ->check(CLI::IsMember(names_of(id_choices)));
  app->add_flag("--no-validate", t.no_validate, "Do not compare the two files");
  add_report_options(*app, a);
  app->footer("Example:\n  onnxport transform model.onnx fixed/ --fix batch=1 --fix sequence=128");
  app->callback([&a] { a.run = [&a](Console& console) { return run_transform(a.transform, console); }; });

  CLI::App* pack = root.add_subcommand("pack", "Write an ONNX file with its weights in it");
  add_file_arguments(*pack, t);
  add_report_options(*pack, a);
  pack->footer("Example:\n  onnxport pack apart/model.onnx whole.onnx");
  CLI::App* unpack = root.add_subcommand("unpack", "Write an ONNX file with its weights in a file beside it");
  add_file_arguments(*unpack, t);
  unpack->add_option("--data-name", t.data_name, "That file's name (default: the model's and _data)")
      ->type_name("NAME");
  add_report_options(*unpack, a);
  unpack->footer("Example:\n  onnxport unpack model.onnx apart/");
  for (const auto& [command, external] : {std::pair(pack, false), std::pair(unpack, true)}) {
    command->callback([&a, external = external] {
      a.transform.external_data = external;
      a.run = [&a](Console& console) { return run_transform(a.transform, console); };
    });
  }
}

void define_inspect(CLI::App& root, Arguments& a) {
  CLI::App* inspect =
      root.add_subcommand("inspect", "Show what any ONNX file holds, what it costs and what is wrong with it");
  inspect->add_option("FILE", a.inspect.file, "The .onnx file")->required()->option_text(" ");
  inspect->add_option("--sizes", a.inspect.sizes, "Lengths of axes at which costs are told: batch=4,sequence=384")
      ->delimiter(',')
      ->type_name("AXIS=N")
      ->allow_extra_args(false);
  inspect->add_option("--runtime", a.inspect.runtime, "Tell what this version lacks: onnxruntime=1.17")
      ->type_name("NAME=V");
  inspect
      ->add_option("--graph", a.inspect.graph,
                   "Draw the graph by modules: FILE.svg, FILE.png, or FILE.html to open modules")
      ->type_name("FILE");
  inspect->add_option("--depth", a.inspect.depth, "How deep modules are told (default 2)")
      ->check(CLI::Range(0, 100))
      ->type_name("N");
  add_report_options(*inspect, a);
  inspect->footer(
      "Examples:\n  onnxport inspect onnx/model.onnx\n  onnxport inspect onnx/model.onnx --sizes batch=4,sequence=384 "
      "--runtime onnxruntime=1.17");
  inspect->callback([&a] { a.run = [&a](Console& console) { return run_inspect(a.inspect, console); }; });
}

void define_diff(CLI::App& root, Arguments& a) {
  CLI::App* diff = root.add_subcommand("diff", "Tell how two ONNX files differ: what they declare, hold and compute");
  diff->add_option("A", a.diff.a, "An .onnx file, or an export's folder")->required()->option_text(" ");
  diff->add_option("B", a.diff.b, "Another")->required()->option_text(" ");
  add_report_options(*diff, a);
  diff->footer(
      "Example:\n  onnxport diff onnx/model.onnx other/model.onnx\n\n"
      "The exit status is 0 where both compute the same from the same weights, else 1.");
  diff->callback([&a] { a.run = [&a](Console& console) { return run_diff(a.diff, console); }; });
}

void define_explain(CLI::App& root, Arguments& a) {
  CLI::App* explain =
      root.add_subcommand("explain", "Tell which plugin takes a config, and what each of its fields does");
  explain->add_option("CONFIG", a.explain.config, "A config.json, or its folder")->required()->option_text(" ");
  explain->add_option("--feature", a.explain.feature, "What the model is for (default: by config.json's architectures)")
      ->type_name("NAME");
  explain->add_option("--plugin", a.explain.plugin, "Use this plugin where several offer the model type")
      ->type_name("ID");
  add_plugin_options(*explain, a.explain.plugins);
  add_report_options(*explain, a);
  explain->footer("Example:\n  onnxport explain bert/config.json --feature masked-lm");
  explain->callback(running_plugins(a, [&a](Console& console) { return run_explain(a.explain, console); }));
}

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

void define_others(CLI::App& root, Arguments& a) {
  CLI::App* features = root.add_subcommand("features", "List what can be exported");
  features->add_option("MODEL_TYPE", a.features.model_type, "Only this type, with other names of its features")
      ->option_text(" ");
  add_plugin_options(*features, a.features.plugins);
  add_report_options(*features, a);
  features->footer("Examples:\n  onnxport features\n  onnxport features bert");
  features->callback([&a] { a.run = [&a](Console& console) { return run_features(a.features, console); }; });

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

  CLI::App* record = root.add_subcommand("record", "Print the Python that records cases from an original model");
  add_report_options(*record, a);
  record->footer(
      "Example:\n"
      "  onnxport record > record.py\n"
      "  python record.py config.json cases --feature masked-lm --seed 3");
  record->callback([&a] { a.run = [](Console& console) { return run_record(console); }; });

  CLI::App* synth = root.add_subcommand("synth", "Write a random checkpoint of a config");
  synth->add_option("CONFIG", a.synth.config, "A config.json")->required()->option_text(" ");
  synth->add_option("OUTPUT", a.synth.output, "The checkpoint's folder")->required()->option_text(" ");
  synth->add_option("--seed", a.synth.seed, "Other numbers (default 0)")->type_name("N");
  synth->add_option("--dtype", a.synth.dtype, "Type of the weights (default fp32)")
      ->check(CLI::IsMember(names_of(dtype_choices)));
  synth->add_option("--shard-size", a.synth.shard_size, "Several files of at most this size, and their index: 5GB")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("SIZE");
  synth->add_option("--feature", a.synth.feature, "What the model is for (default: by config.json's architectures)")
      ->type_name("NAME");
  synth->add_option("--plugin", a.synth.plugin, "Use this plugin where several offer the model type")->type_name("ID");
  add_plugin_options(*synth, a.synth.plugins);
  add_report_options(*synth, a);
  synth->footer("Example:\n  onnxport synth config.json checkpoint/ --seed 1");
  synth->callback(running_plugins(a, [&a](Console& console) { return run_synth(a.synth, console); }));
}

std::string version_text() {
  return fmt::format("onnxport {} (plugin ABI {}.{}, opsets {} to {})", version, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR,
                     lowest_opset, highest_opset);
}

void define_root(CLI::App& root) {
  root.description("onnxport turns a Hugging Face checkpoint into an ONNX model.");
  root.set_version_flag("-V,--version", version_text());
  root.footer(
      "Examples:\n"
      "  onnxport export -m all-MiniLM-L6-v2 onnx/\n"
      "  onnxport --model=DIR --feature=masked-lm onnx/      (as of transformers.onnx)\n"
      "  onnxport features\n"
      "  onnxport COMMAND --help\n"
      "\n"
      "Exit status: 0 done and validated; 1 validation differs; 2 usage, unknown type or feature;\n"
      "3 unreadable or mismatched checkpoint; 4 plugin refused or failed; 5 output could not be\n"
      "written; 70 a defect of onnxport; 130 interrupted.");
  root.get_formatter()->column_width(28);
}

bool is_command(const std::string& word) {
  return std::find(std::begin(commands), std::end(commands), word) != std::end(commands);
}

bool asks_for_help(const std::string& word) {
  return word == "-h" || word == "--help" || word == "-V" || word == "--version";
}

/// The form of transformers.onnx has no command: options and the output, in any order.
bool is_legacy(const Words& words) {
  if (words.empty() || is_command(words.front())) return false;
  const auto names_a_model = [](const std::string& word) {
    return word.starts_with("--model") || (word.starts_with("-m") && !word.starts_with("--"));
  };
  if (std::any_of(words.begin(), words.end(), names_a_model)) return true;
  return words.front().starts_with('-') && !asks_for_help(words.front()) &&
         std::none_of(words.begin(), words.end(), is_command);
}

void define_legacy(CLI::App& root, Arguments& a) {
  root.description("onnxport, called as transformers.onnx is. `onnxport --help` shows its own commands.");
  add_shared_options(root, a.export_model);
  add_export_options(root, a.export_model);
  add_plugin_options(root, a.export_model.plugins);
  add_report_options(root, a);
  add_report_file_option(root, a);
  a.runs_plugins = true;
  a.run = [&a](Console& console) { return run_export(a.export_model, console); };
}

void define_commands(CLI::App& root, Arguments& a) {
  define_root(root);
  define_export(root, a);
  define_validate(root, a);
  define_transform(root, a);
  define_inspect(root, a);
  define_diff(root, a);
  define_explain(root, a);
  define_others(root, a);
  root.require_subcommand(1);
}

/// What makes the error for words that were left over, and whether it says more than that an option misses something.
struct Unexpected {
  std::function<Error()> error;
  bool is_likely = false;
};

/// Parses; an exit status where that is all there was to do (--help).
std::optional<int> parse(CLI::App& root, const Words& words, const Unexpected& unexpected) {
  try {
    Words reversed(words.rbegin(), words.rend());
    root.parse(reversed);
    return std::nullopt;
  } catch (const CLI::Success& success) {  // --help, --version
    if (misses_command(root)) throw unexpected.error();
    return root.exit(success);
  } catch (const CLI::ExtrasError&) {
    throw unexpected.error();
  } catch (const CLI::ParseError& error) {
    // What was not understood is more likely the mistake than what is missing.
    if (unexpected.is_likely || !root.remaining(true).empty()) throw unexpected.error();
    throw Error(Failure::usage, error.what(), fmt::format("`{} --help` lists what there is", command_named(root)));
  }
}

int run(const Arguments& arguments, const Words& words, Terminal& console) {
  if (arguments.quiet && console.mode() == Terminal::Mode::report) console.set_mode(Terminal::Mode::quiet);
  const ReportedRun reported(arguments.report, words, arguments.run);
  const auto work = [&](Console& to) { return reported.work(to); };
  return arguments.runs_plugins ? reported.told(run_contained(console, work), console) : work(console);
}

int run_as_transformers_onnx(const Words& words, Terminal& console) {
  Arguments arguments, unused;
  CLI::App root("", "onnxport"), known("", "onnxport");
  define_legacy(root, arguments);
  define_commands(known, unused);
  const Words meant = words.front().starts_with('-') ? Words{} : commands_like(words.front(), known);
  const auto unexpected = [&] { return unexpected_words(root, known, arguments.export_model.output.string(), words); };
  if (const auto status = parse(root, words, {unexpected, !meant.empty()})) return *status;
  if (arguments.quiet && console.mode() == Terminal::Mode::report) console.set_mode(Terminal::Mode::quiet);
  // A folder may have a name like a command's; a command that is misspelt looks the same.
  if (!meant.empty())
    console.note(
        fmt::format("the output is the folder '{}'; if a command was meant, it is `{}`", words.front(), meant[0]));
  return run(arguments, words, console);
}

int run_command(const Words& words, Terminal& console) {
  Arguments arguments;
  CLI::App root("", "onnxport");
  define_commands(root, arguments);
  if (words.empty()) {
    fmt::print("{}", root.help());
    return static_cast<int>(Failure::usage);
  }
  Words given = words;
  if (given.front() == "help") {
    given.erase(given.begin());
    given.push_back("--help");
  }
  if (given.front().starts_with('-') && !asks_for_help(given.front())) {
    const auto command = std::find_if(given.begin(), given.end(), is_command);
    if (command != given.end()) throw options_before_command(*command, given);
  }
  if (const auto status = parse(root, given, {[&] { return unexpected_words(root, given); }})) return *status;
  return run(arguments, given, console);
}

}  // namespace

void with_command_line(const std::function<void(const CLI::App&)>& use) {
  Arguments arguments;
  CLI::App root("", "onnxport");
  define_commands(root, arguments);
  use(root);
}

int run_words(const Words& words, Console& console) {
  try {
    Arguments arguments;
    CLI::App root("", "onnxport");
    define_commands(root, arguments);
    if (const auto status = parse(root, words, {[&] { return unexpected_words(root, words); }})) return *status;
    return ReportedRun(arguments.report, words, arguments.run).work(console);
  } catch (...) {
    return report_failure(console, std::current_exception());
  }
}

int run_command_line(int argc, char** argv) {
  const Words words(argv + 1, argv + argc);
  // Known before parsing, so that an error of the command line itself is an object as well.
  const auto is_given = [&](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  const bool in_one_line = is_given("--json-line");
  const bool json = in_one_line || is_given("--json");
  Terminal console(json ? Terminal::Mode::json : Terminal::Mode::report);
  if (in_one_line) console.set_indent(-1);
  int status = 0;
  try {
    status = is_legacy(words) ? run_as_transformers_onnx(words, console) : run_command(words, console);
    if (console.mode() == Terminal::Mode::json && console.result_is_empty()) return status;  // --help
  } catch (...) {
    status = report_failure(console, std::current_exception());
  }
  return console.finish(status);
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What the commands accept that read finished ONNX files: transform, pack, unpack, inspect, diff.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "host/commands.hpp"
#include "host/options.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/input_plan.hpp"
#include "host/plan/package.hpp"

namespace onnxport {
namespace {

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
  CLI::Option* layout = app->add_option("--layout", t.layout,
                                        "Make of the file, or of a folder's graphs, a folder that others load: " +
                                            fmt::format("{}", fmt::join(package_names(), ", ")))
                            ->type_name("PACKAGE");
  add_model_options(*app, t.model)->needs(layout);
  app->add_option("--feature", t.feature, "What the model is for, where the file does not say it")
      ->type_name("FEATURE")
      ->needs(layout);
  app->add_option("--plugin", t.plugin, "Use this plugin where several offer the model type")
      ->type_name("ID")
      ->needs(layout);
  add_plugin_options(*app, t.plugins);
  add_report_options(*app, a);
  app->footer(
      "Examples:\n  onnxport transform model.onnx fixed/ --fix batch=1 --fix sequence=128\n"
      "  onnxport transform exported/ package/ --layout all");
  app->callback([&a] {
    a.run = [&a](Console& console) { return run_transform(a.transform, console); };
    a.runs_plugins = !a.transform.layout.empty();
  });

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

}  // namespace

void define_file_commands(CLI::App& root, Arguments& a) {
  define_transform(root, a);
  define_inspect(root, a);
  define_diff(root, a);
}

}  // namespace onnxport

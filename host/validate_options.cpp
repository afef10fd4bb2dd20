// SPDX-License-Identifier: Apache-2.0
// What `onnxport validate` accepts.
#include "host/commands.hpp"
#include "host/options.hpp"

namespace onnxport {

void define_validate(CLI::App& root, Arguments& a) {
  CLI::App* app =
      root.add_subcommand("validate", "Compare an exported model with its checkpoint or with recorded outputs");
  ValidateArguments& v = a.validate;
  app->add_option("OUTPUT", v.output, "Folder of an export, or its .onnx file")->required()->option_text(" ");
  add_model_options(*app, v.model);
  add_depth_options(*app, v.depth);
  app->add_option("--max-memory", v.max_memory, "What the validation may take: 500MB, 4GB")
      ->transform(size_value())
      ->type_name("SIZE");
  app->add_option("--atol", v.atol, "Largest absolute difference that is accepted")->type_name("X");
  app->add_option("--custom-ops", v.custom_ops, "Library that registers kernels of custom operators with ONNX Runtime")
      ->type_name("LIB");
  app->add_option("--plugin", v.plugin, "Use this plugin where several offer the model type")->type_name("ID");
  app->add_option("--feature", v.feature, "What a file of another exporter is for (default: told by its inputs)")
      ->type_name("FEATURE");
  add_plugin_options(*app, v.plugins);
  add_report_options(*app, a);
  add_report_file_option(*app, a);
  app->footer(
      "Examples:\n"
      "  onnxport validate onnx/ -m all-MiniLM-L6-v2\n"
      "  onnxport validate onnx/ --case case-default-0.safetensors   (needs neither model nor libtorch)");
  app->callback(running_plugins(a, [&a](Console& console) { return run_validate(a.validate, console); }));
}

}  // namespace onnxport

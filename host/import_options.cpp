// SPDX-License-Identifier: Apache-2.0
// What `onnxport import-torchscript` accepts.
#include <fmt/format.h>

#include "core/export/export.hpp"
#include "host/commands.hpp"
#include "host/options.hpp"
#include "host/plan/choices.hpp"

namespace onnxport {

void define_import(CLI::App& root, Arguments& a) {
  ImportArguments& i = a.import_script;
  CLI::App* app = root.add_subcommand("import-torchscript",
                                      "Write a TorchScript module as an ONNX model, without a plugin, and validate it");
  app->add_option("MODEL.pt", i.module, "What torch.jit.trace() or torch.jit.script() has saved")
      ->required()
      ->option_text(" ");
  app->add_option("OUTPUT", i.output, "Folder, or a file name that ends in .onnx")->required()->option_text(" ");
  app->add_option("--input", i.inputs,
                  "An argument of forward(): words=i64[batch,sequence]; an axis is a name or a size (repeatable)")
      ->type_name("NAME=TYPE[AXIS,…]")
      ->allow_extra_args(false);
  app->add_option(
         "--output", i.outputs,
         "A name for what forward() returns, in its order (default: the dictionary's keys, output_0, …; repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app->add_option("--opset", i.opset, fmt::format("ONNX opset, {} to {} (default 18)", lowest_opset, highest_opset))
      ->type_name("N");
  app->add_option("--dtype", i.dtype,
                  "Type in which weights are stored and computed; inputs and outputs stay as they are")
      ->check(CLI::IsMember(names_of(dtype_choices)));
  app->add_flag("--external-data", i.external_data, "Keep the weights in a file beside the model");
  app->add_option("--data-name", i.data_name, "That file's name (default: the model's and _data)")->type_name("NAME");
  app->add_option("--size", i.sizes,
                  "Lengths at which an axis is compared, the usual one first: sequence=16, height=224,256 (repeatable)")
      ->type_name("AXIS=N,…")
      ->allow_extra_args(false);
  app->add_option("--range", i.ranges,
                  "Values that an input may have: words=0:30522 (default: by the table that is looked up; repeatable)")
      ->type_name("INPUT=LOW:HIGH")
      ->allow_extra_args(false);
  app->add_option("--case", i.cases, "Recorded inputs and outputs to compare with as well (repeatable)")
      ->type_name("FILE.safetensors")
      ->allow_extra_args(false);
  app->add_option("--atol", i.atol, "Largest absolute difference that validation accepts (default 1e-4)")
      ->type_name("X");
  app->add_flag("--no-validate", i.no_validate, "Do not compare the written file with the module");
  add_report_options(*app, a);
  app->footer(
      "Examples:\n"
      "  onnxport import-torchscript model.pt onnx/ --input words=i64[batch,sequence]\n"
      "  onnxport import-torchscript net.pt net.onnx --input x=f32[batch,3,height,width] --size height=64 --size "
      "width=96\n"
      "\n"
      "The output appears whole or not at all. Only a file that answers as the module does is\n"
      "a success; one that differs is kept, and the exit status is 1.");
  app->callback([&a] { a.run = [&a](Console& console) { return run_import(a.import_script, console); }; });
}

}  // namespace onnxport

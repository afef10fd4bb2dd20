// SPDX-License-Identifier: Apache-2.0
// What `onnxport export` accepts, as a command and in the form of transformers.onnx.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/export/export.hpp"
#include "core/package/layout.hpp"
#include "host/commands.hpp"
#include "host/options.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/input_plan.hpp"
#include "host/plan/package.hpp"

namespace onnxport {
namespace {

/// "single: one graph; split: …; or a package, …: genai, …"
std::string layout_help() {
  std::string text;
  for (const Layout& layout : layouts()) text += fmt::format("{}: {}; ", layout.name, layout.summary);
  return text + fmt::format("or a package, a folder that other programs load: {}, or the path of one",
                            fmt::join(package_names(), ", "));
}

/// Flags that scripts written for transformers.onnx pass.
constexpr const char* legacy_group = "Of transformers.onnx";

/// What transformers.onnx has as well, with the same meaning.
void add_shared_options(CLI::App& app, ExportArguments& e) {
  add_model_options(app, e.model)->required();
  app.add_option("--feature", e.feature, "What the model is for (default: by config.json's architectures)")
      ->type_name("FEATURE");
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

/// Places of a cache: what validation tries has room in the least.
constexpr int64_t least_buffer = 16, most_buffer = int64_t{1} << 30;

/// What of its inputs a file fixes, narrows or adds, and what is to run it.
void add_shape_options(CLI::App& app, ExportArguments& e) {
  app.add_option("--fix", e.fixed, "Give an axis of the inputs a size: batch=1 (repeatable)")
      ->type_name("AXIS=N")
      ->allow_extra_args(false);
  app.add_option("--ids", e.ids, "Type of ids, masks and positions: int64 or int32")
      ->check(CLI::IsMember(names_of(id_choices)));
  app.add_flag("--num-logits-to-keep", e.kept_logits,
               "Take num_logits_to_keep, an input that says of how many last tokens the logits are wanted");
  app.add_option("--max-sequence", e.max_sequence,
                 "Keep keys and values in buffers of N places, of which a step fills the next ones")
      ->check(CLI::Range(least_buffer, most_buffer))
      ->type_name("N");
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
      ->transform(size_value())
      ->type_name("SIZE");
  app.add_option("--layout", e.layout, layout_help())->type_name("LAYOUT");
  app.add_option("--position-ids", e.position_ids,
                 "A decoder's positions: sequence (counted after the past, as the model does by itself), mask (counted "
                 "along the attention mask, for batches padded on the left), input (a graph input)")
      ->check(CLI::IsMember(names_of(position_choices)));
  app.add_flag("--attention-mask", e.sample_mask,
               "Give an audio model a mask of its samples as an input, for recordings of different lengths in a batch");
  app.add_option("--noise", e.noise,
                 "What a model draws by chance when it is asked: drawn (in the graph, the same in every run), input")
      ->check(CLI::IsMember({"drawn", "input"}));
  app.add_option("--dtype", e.dtype,
                 "Type in which weights are stored and computed; inputs and outputs stay as they are")
      ->check(CLI::IsMember(names_of(dtype_choices)));
  app.add_option("--keep-fp32", e.keep_fp32,
                 "Modules that 16 bits leave in f32, by a part of their path (wo,lm_head) or, behind =, by all of it; "
                 "auto: those whose numbers would leave the range of fp16")
      ->delimiter(',')
      ->type_name("auto|A,B")
      ->allow_extra_args(false);
  app.add_option("--outputs", e.outputs, "Further outputs by name: pooler_output,hidden_states")
      ->delimiter(',')
      ->type_name("A,B")
      ->allow_extra_args(false);
  app.add_option("--scores", e.scores,
                 "Put out a classifier's or reranker's logits as scores, too: through sigmoid, softmax, or what the "
                 "checkpoint says (auto)")
      ->check(CLI::IsMember({"auto", "sigmoid", "softmax"}));
  add_depth_options(app, e.depth);
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

}  // namespace

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

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// onnxport export
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/checkpoint/safetensors_writer.hpp"
#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/export/export.hpp"
#include "core/format_bytes.hpp"
#include "core/output/companions.hpp"
#include "core/output/staging.hpp"
#include "core/package/layout.hpp"
#include "core/version.hpp"
#include "host/commands.hpp"
#include "host/interrupt.hpp"
#include "host/memory.hpp"
#include "host/model_source.hpp"
#include "host/selection.hpp"
#include "host/validation.hpp"
#include "host/weight_storage.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// Values that the command line knows and this version does not have, and combinations without a meaning.
void check_arguments(const ExportArguments& arguments) {
  const auto refuse = [](const std::string& option, const std::string& available) {
    throw Error(Failure::usage, option + " is not available in this version", available);
  };
  if (arguments.target != "onnx")
    refuse("--target " + arguments.target, "available is --target onnx, which ONNX Runtime runs as well");
  if (arguments.framework == "tf") {
    throw Error(Failure::usage,
                "--framework tf: TensorFlow checkpoints are not read; onnxport reads PyTorch's weights as safetensors",
                "convert the checkpoint to safetensors first, or leave the option out");
  }
  const auto meaningless = [](const std::string& option, const std::string& reason) {
    throw Error(Failure::usage, option + " has no meaning with " + reason, "leave one of the two out");
  };
  if (arguments.no_validate && arguments.atol)
    meaningless("--atol", "--no-validate: it is the tolerance of validation");
  if (arguments.no_validate && !arguments.preprocessor.empty())
    meaningless("--preprocessor", "--no-validate: it says what validation's inputs are made with");
  check_weight_storage(arguments);
  if (arguments.atol && !(*arguments.atol > 0 && std::isfinite(*arguments.atol))) {
    throw Error(Failure::usage, fmt::format("--atol {} is no tolerance", *arguments.atol),
                "give a number above 0, such as 1e-4");
  }
}

/// The checkpoint's tokenizer or image processor, and an error where --preprocessor asks for one that is not there.
std::optional<Preprocessor> find_preprocessor(const ExportArguments& arguments, const fs::path& folder) {
  std::optional<Preprocessor> found = Preprocessor::from_folder(folder);
  const std::string& wanted = arguments.preprocessor;
  if (wanted.empty() || wanted == "auto") return found;
  const bool images = found && (found->image_height || found->channels);
  const bool text = found && (found->unk || found->pad || !found->special.empty());
  const bool there = wanted == "tokenizer" ? text : wanted == "processor" ? text || images : images;
  if (there) return found;
  throw Error(Failure::checkpoint, fmt::format("--preprocessor {}: there is none in {}", wanted, folder.string()),
              "add its files (tokenizer.json, preprocessor_config.json), or choose --preprocessor auto");
}

std::map<std::string, std::string> metadata_of(const Selection& selection, const ExportArguments& arguments) {
  std::map<std::string, std::string> metadata{
      {"onnxport.model_type", selection.model_type},
      {"onnxport.feature", selection.feature},
      {"onnxport.plugin", selection.plugin_id + " " + selection.plugin_version}};
  if (!arguments.outputs.empty()) metadata["onnxport.outputs"] = fmt::format("{}", fmt::join(arguments.outputs, ","));
  if (arguments.dtype != "fp32") metadata["onnxport.dtype"] = arguments.dtype;
  if (arguments.weights == "link") metadata["onnxport.weights"] = "link";
  const auto& facts = selection.onnx_config->description().texts;
  if (const auto positions = facts.find("positions"); positions != facts.end())
    metadata["onnxport.position_ids"] = positions->second;
  else if (!arguments.position_ids.empty())  // a plugin that does not tell
    metadata["onnxport.position_ids"] = arguments.position_ids;
  return metadata;
}

/// A message about the staging folder means, to the user, the folder that was asked for.
std::string without_staging(std::string text, const StagedOutput& output) {
  const std::string& hidden = output.folder().native();
  for (size_t at = text.find(hidden); at != std::string::npos; at = text.find(hidden, at)) {
    text.replace(at, hidden.size(), output.final_folder().native());
  }
  return text;
}

struct Written {
  ExportResult result;
  std::vector<fs::path> companions;
};

/// What an export is made from.
struct Source {
  const Selection& selection;
  const Checkpoint& checkpoint;
  const DefinedGraphs& defined;
  int64_t opset;
};

Written write_files(const ExportArguments& arguments, const Source& source, const StagedOutput& output,
                    Console& console) {
  ExportOptions options;
  options.opset = source.opset;
  options.model_file = output.model_file();
  options.metadata = metadata_of(source.selection, arguments);
  const WeightsToStore weights{source.defined.graphs, source.defined.weight_bytes()};
  choose_weight_storage(arguments, weights, output, options);
  uint64_t bytes = 0;
  options.planned = [&](const std::vector<ExportedFile>& files) {
    bytes = announce_files(files, weights, output, console);
  };
  options.progress.report = [&](const std::string& phase, uint64_t done, uint64_t total) {
    console.progress(phase, done, total);
  };
  options.progress.cancel = &interrupt_flag();
  Written written;
  try {
    written.result = export_graphs(*source.selection.onnx_config, source.defined.graphs, output.folder(), options);
    std::error_code elsewhere;
    if (output.is_folder() && !fs::equivalent(source.checkpoint.folder(), output.final_folder(), elsewhere))
      written.companions = copy_companions(source.checkpoint.folder(), output.folder());
    report_weights(written.result, options, console);
  } catch (const Error& error) {
    if (error.failure() != Failure::output || std::strstr(error.what(), std::strerror(ENOSPC)) == nullptr) throw;
    throw Error(Failure::output,
                fmt::format("{}; {} are needed and {} are free", error.what(), format_bytes(bytes),
                            format_bytes(output.free_space())),
                error.hint());
  }
  source.checkpoint.check_unchanged();
  console.end_progress();
  return written;
}

void report_graphs(const ExportResult& result, const Source& source, Console& console) {
  Json& json = console.result();
  const std::string what = fmt::format("exported: {} with feature {}, opset {}", source.selection.model_type,
                                       source.selection.feature, source.opset);
  if (result.graphs.size() == 1) {
    const ExportedGraph& graph = result.graphs[0];
    json["nodes"] = graph.nodes;
    json["initializers"] = graph.initializers;
    json["inputs"] = graph.inputs;
    json["outputs"] = graph.outputs;
    console.line(fmt::format("{}: {} nodes, {} initializers", what, graph.nodes, graph.initializers));
    return;
  }
  console.line(fmt::format("{}: {} graphs", what, result.graphs.size()));
  json["graphs"] = Json::array();
  for (const ExportedGraph& graph : result.graphs) {
    json["graphs"].push_back({{"file", graph.file},
                              {"nodes", graph.nodes},
                              {"initializers", graph.initializers},
                              {"inputs", graph.inputs},
                              {"outputs", graph.outputs}});
    console.line(fmt::format("  {}: {} nodes, {} initializers", graph.file, graph.nodes, graph.initializers));
  }
}

void report_export(const Written& written, const Source& source, const StagedOutput& output, Console& console) {
  Json& json = console.result();
  json["opset"] = source.opset;
  json["output"] = output.final_folder().string();
  json["model_file"] = (output.final_folder() / written.result.graphs[0].file).string();
  json["files"] = Json::array();
  report_graphs(written.result, source, console);
  console.line(fmt::format("files in {}", output.final_folder().string()));
  const auto file = [&](const fs::path& name) {
    std::error_code ignored;
    const uint64_t bytes = fs::file_size(output.folder() / name, ignored);
    json["files"].push_back({{"path", (output.final_folder() / name).string()}, {"bytes", bytes}});
    console.line(fmt::format("  {:<34} {:>10}", name.string(), format_bytes(bytes)));
  };
  for (const ExportedFile& exported : written.result.files) file(exported.path.filename());
  for (const fs::path& name : written.companions) file(name);
}

Wanted wanted_by(const ExportArguments& arguments) {
  Wanted wanted{arguments.feature, arguments.plugin, Json::object()};
  if (!arguments.position_ids.empty()) wanted.options["position_ids"] = arguments.position_ids;
  return wanted;
}

/// Bytes of the weights in f32 that the config asks for.
uint64_t expected_weight_bytes(const OnnxConfig& config, const std::vector<GraphFile>& files) {
  WeightSource expected;
  define_graphs(config, expected, files);
  uint64_t bytes = 0;
  for (const auto& [name, shape] : expected.requested()) bytes += TensorPlan{name, ir::DType::f32, shape}.bytes();
  return bytes;
}

}  // namespace

int run_export(const ExportArguments& arguments, Console& console) {
  check_arguments(arguments);
  ModelSource model({arguments.model, arguments.revision, arguments.cache_dir, arguments.refresh}, console);
  const fs::path folder = model.folder();
  const bool validate = !arguments.no_validate;
  if (arguments.max_memory) limit_memory(*arguments.max_memory);
  Json& json = console.result();

  const Json config = Checkpoint::open_config(folder).config();
  const Selection selection = select(arguments.plugins, config, folder / "config.json", wanted_by(arguments), console);
  const OnnxConfig& onnx_config = *selection.onnx_config;
  const int64_t opset = arguments.opset.value_or(onnx_config.default_onnx_opset());
  require_opset(onnx_config, opset);
  if (validate) require_backends(true);
  std::optional<Preprocessor> preprocessor;
  if (validate) preprocessor = find_preprocessor(arguments, folder);

  json["model"] = arguments.model;
  json["model_type"] = selection.model_type;
  json["feature"] = selection.feature;
  json["plugin"] = {{"id", selection.plugin_id}, {"version", selection.plugin_version}};
  console.line(fmt::format("model: {} in {}, by {} {}", selection.model_type, arguments.model, selection.plugin_id,
                           selection.plugin_version));
  if (!selection.feature_source.empty()) {
    json["feature_source"] = selection.feature_source;
    console.line(fmt::format("feature: {} (from {})", selection.feature, selection.feature_source));
  } else {
    console.line(fmt::format("feature: {}", selection.feature));
  }

  // An output that cannot be written is known before anything is downloaded.
  StagedOutput output(arguments.output);
  const std::vector<GraphFile> files = graph_files(layout_from(arguments.layout), onnx_config, output.model_file());
  if (files.size() > 1 && !output.is_folder()) {
    throw Error(
        Failure::usage,
        "--layout " + arguments.layout + " writes several files, and the output is named " + arguments.output.string(),
        "name a folder");
  }
  const ir::DType dtype = dtype_named(arguments.dtype);
  if (model.is_by_id()) {
    // Nor is it for an export that this machine could not finish.
    const uint64_t bytes = expected_weight_bytes(onnx_config, files);
    if (validate) require_memory(bytes, bytes / sizeof(float) * ir::size_of(dtype));
    if (arguments.weights != "link") output.require_space(bytes / sizeof(float) * ir::size_of(dtype));
  }
  model.fetch_weights(console);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  for (const std::string& note : checkpoint.notes()) console.note(note);
  WeightSource weights(checkpoint, selection.name_rules);
  const DefinedGraphs defined = define_graphs(onnx_config, weights, files,
                                              {.outputs = arguments.outputs, .allow_unused = arguments.allow_unused});
  note_leftovers(defined.definitions[0], console);
  const uint64_t bytes = defined.weight_bytes();
  const GraphForm form{.opset = opset, .dtype = dtype, .weights_as_stored = arguments.weights == "link"};
  if (validate) require_memory(bytes, bytes / sizeof(float) * ir::size_of(form.dtype));
  stop_if_interrupted();

  Verdict verdict;
  const Tolerance tolerance = tolerance_for(onnx_config, form.dtype, arguments.atol);
  const Source source{selection, checkpoint, defined, opset};
  try {
    const Written written = write_files(arguments, source, output, console);
    report_export(written, source, output, console);
    // What is compared is what will be delivered, and an interrupted validation leaves nothing behind.
    if (validate) {
      verdict = validate_export({onnx_config, config, preprocessor ? &*preprocessor : nullptr, defined.graphs, &weights,
                                 output.folder(), form},
                                tolerance, console);
    } else {
      json["validation"]["status"] = "skipped";
    }
    stop_if_interrupted();
    output.commit();
  } catch (const Error& error) {
    throw Error(error.failure(), without_staging(error.what(), output), without_staging(error.hint(), output));
  }

  const std::string model_file = (output.final_folder() / defined.graphs[0].file).string();
  json["status"] = "ok";
  if (!validate) {
    console.line("done: " + model_file + " (not validated)");
  } else if (verdict.passes) {
    console.line(fmt::format("done: {} (validated, largest difference {:.1e})", model_file, verdict.largest));
  } else {
    console.fail(static_cast<int>(Failure::differs), "differs",
                 fmt::format("validation found differences above the tolerance of {} (largest {:.3g})",
                             describe(tolerance), verdict.largest),
                 "the files are kept in " + output.final_folder().string() +
                     " for a look at them; where differences so large do not matter, pass a larger --atol");
    json["status"] = "differs";
    return static_cast<int>(Failure::differs);
  }
  return 0;
}

}  // namespace onnxport

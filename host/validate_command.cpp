// SPDX-License-Identifier: Apache-2.0
// onnxport validate: a model that was exported before, against its checkpoint or recorded outputs.
#include <fmt/format.h>

#include <cmath>

#include "core/error.hpp"
#include "host/commands.hpp"
#include "host/model_summary.hpp"
#include "host/selection.hpp"
#include "host/validation.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The tolerance of recorded outputs where no model is there to name its own.
constexpr double case_atol = 1e-4;

fs::path model_file_of(const fs::path& output) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(output, ignored) ? output / "model.onnx" : output;
  if (fs::is_regular_file(file, ignored)) return file;
  throw Error(Failure::checkpoint, "there is no model " + file.string(),
              "name the folder of an export, or its .onnx file");
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// What the file says it was exported as.
std::string metadata_of(const ModelSummary& summary, const std::string& key, const fs::path& file) {
  const auto found = summary.metadata.find(key);
  if (found != summary.metadata.end()) return found->second;
  throw Error(Failure::checkpoint,
              file.string() + " does not say what it was exported from (no metadata '" + key + "')",
              "compare it with recorded outputs instead: --case FILE.safetensors");
}

void check_arguments(const ValidateArguments& arguments) {
  if (arguments.cases.empty() && arguments.model.empty()) {
    throw Error(Failure::usage, "nothing to compare with",
                "name the model's folder (-m DIR) or recorded outputs (--case FILE.safetensors)");
  }
  if (!arguments.cases.empty() && !arguments.model.empty()) {
    throw Error(Failure::usage, "-m and --case each say what to compare with", "leave one of the two out");
  }
  if (arguments.atol && !(*arguments.atol > 0 && std::isfinite(*arguments.atol))) {
    throw Error(Failure::usage, fmt::format("--atol {} is no tolerance", *arguments.atol),
                "give a number above 0, such as 1e-4");
  }
}

Verdict validate_cases(const ValidateArguments& arguments, const fs::path& file, const ModelSummary& summary,
                       Console& console) {
  require_backends(false);
  std::vector<ValidationInputs> inputs;
  for (const fs::path& path : arguments.cases) inputs.push_back(read_case(path));
  return validate_file(nullptr, nullptr, file, summary.opset(), inputs, arguments.atol.value_or(case_atol), console);
}

Verdict validate_model(const ValidateArguments& arguments, const fs::path& file, const ModelSummary& summary,
                       Console& console) {
  require_model_folder(arguments.model);
  const std::string feature = metadata_of(summary, "onnxport.feature", file);
  const std::string model_type = metadata_of(summary, "onnxport.model_type", file);
  const Checkpoint checkpoint = Checkpoint::open(arguments.model);
  const Selection selection = select(arguments.plugins, checkpoint.config(), checkpoint.folder() / "config.json",
                                     feature, arguments.plugin, console);
  if (selection.model_type != model_type) {
    throw Error(Failure::checkpoint,
                fmt::format("{} was exported from a model of type '{}', and {} is one of type '{}'", file.string(),
                            model_type, arguments.model, selection.model_type),
                "name the folder from which it was exported");
  }
  require_backends(true);
  WeightSource weights(checkpoint, selection.name_rules);
  const auto further = summary.metadata.find("onnxport.outputs");
  const std::vector<std::string> outputs =
      further == summary.metadata.end() ? std::vector<std::string>() : split(further->second);
  // Whether tensors may be left over was decided when the model was exported.
  const Definition definition = define(selection, weights, {.outputs = outputs, .allow_unused = true});
  const uint64_t bytes = weight_bytes(definition.graph);
  require_memory(bytes, bytes);
  const std::optional<Preprocessor> preprocessor = Preprocessor::from_folder(arguments.model);
  const auto inputs =
      validation_inputs(*selection.onnx_config, checkpoint.config(), preprocessor ? &*preprocessor : nullptr);
  const double atol = arguments.atol.value_or(selection.onnx_config->atol_for_validation());
  return validate_file(&*selection.onnx_config, &definition, file, summary.opset(), inputs, atol, console);
}

}  // namespace

int run_validate(const ValidateArguments& arguments, Console& console) {
  check_arguments(arguments);
  const fs::path file = model_file_of(arguments.output);
  const ModelSummary summary = read_model_summary(file);
  console.result()["model_file"] = file.string();
  const Verdict verdict = arguments.cases.empty() ? validate_model(arguments, file, summary, console)
                                                  : validate_cases(arguments, file, summary, console);
  console.result()["status"] = verdict.passes ? "ok" : "differs";
  if (verdict.passes) {
    console.line(fmt::format("valid: {} (largest difference {:.1e})", file.string(), verdict.largest));
    return 0;
  }
  console.fail(
      static_cast<int>(Failure::differs), "differs",
      fmt::format("{} differs by more than the tolerance (largest difference {:.3g})", file.string(), verdict.largest),
      "export it again from this checkpoint; where differences so large do not matter, pass a larger --atol");
  console.result()["status"] = "differs";
  return static_cast<int>(Failure::differs);
}

}  // namespace onnxport

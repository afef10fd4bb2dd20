// SPDX-License-Identifier: Apache-2.0
#include "host/plan/export_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "host/plan/input_plan.hpp"

namespace onnxport {
namespace {

[[noreturn]] void meaningless(const std::string& option, const std::string& reason) {
  throw Error(Failure::usage, option + " has no meaning with " + reason, "leave one of the two out");
}

void require_available(const ExportArguments& arguments) {
  if (value_of(target_choices, arguments.target) != Target::onnx) {
    throw Error(Failure::usage, "--target " + arguments.target + " is not available in this version",
                "available is --target onnx, which ONNX Runtime runs as well");
  }
  if (arguments.framework == "tf") {
    throw Error(Failure::usage,
                "--framework tf: TensorFlow checkpoints are not read; onnxport reads PyTorch's weights as safetensors",
                "convert the checkpoint to safetensors first, or leave the option out");
  }
}

bool is_asked_for(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<ValidationPlan> plan_validation(const ExportArguments& arguments) {
  if (!arguments.no_validate)
    return ValidationPlan{arguments.atol,
                          value_of(preprocessor_choices, arguments.preprocessor),
                          value_of(budget_choices, arguments.depth.budget),
                          arguments.depth.trace_values,
                          arguments.depth.segment_size,
                          script_references(arguments.depth),
                          arguments.depth.cases};
  if (arguments.atol) meaningless("--atol", "--no-validate: it is the tolerance of validation");
  if (!arguments.depth.budget.empty()) meaningless("--validate", "--no-validate");
  if (arguments.depth.trace_values) meaningless("--trace-values", "--no-validate");
  if (arguments.depth.segment_size) meaningless("--segment-size", "--no-validate");
  if (!arguments.depth.references.empty()) meaningless("--reference", "--no-validate");
  if (!arguments.depth.cases.empty()) meaningless("--case", "--no-validate");
  if (!arguments.depth.calibration.empty() && !is_asked_for(arguments.keep_fp32, keep_range_word))
    meaningless("--calibration", "--no-validate, unless --keep-fp32 auto is to measure on it");
  if (!arguments.preprocessor.empty())
    meaningless("--preprocessor", "--no-validate: it says what validation's inputs are made with");
  return std::nullopt;
}

/// Which modules stay in f32, into the plan.
void plan_kept_modules(const ExportArguments& arguments, WeightPlan& plan) {
  std::vector<std::string> modules = arguments.keep_fp32;
  if (modules.empty()) return;
  if (plan.dtype == ir::DType::f32) meaningless("--keep-fp32", "--dtype fp32, where all modules are");
  plan.keeps_range = std::erase(modules, keep_range_word) > 0;
  if (plan.keeps_range && plan.dtype == ir::DType::bf16)
    meaningless("--keep-fp32 auto", "--dtype bf16, whose range is that of fp32");
  plan.keep_fp32 = kept_modules_of(modules);
}

WeightPlan plan_weights(const ExportArguments& arguments) {
  WeightPlan plan{value_of(weight_choices, arguments.weights), value_of(dtype_choices, arguments.dtype),
                  arguments.external_data, arguments.data_name};
  plan_kept_modules(arguments, plan);
  if (plan.place == WeightPlace::embed) {
    if (plan.external_data)
      meaningless("--external-data", "--weights embed, which keeps all weights in the model's file");
    if (!plan.data_name.empty())
      meaningless("--data-name", "--weights embed, which keeps all weights in the model's file");
  }
  if (plan.place == WeightPlace::link && plan.external_data)
    meaningless("--external-data", "--weights link, which leaves the weights in the checkpoint's file");
  require_data_file_name(plan.data_name);
  return plan;
}

/// Options of a package that it may refuse, as they were given; none where they have their defaults.
std::vector<std::pair<std::string, std::string>> given_options(const ExportArguments& arguments) {
  std::vector<std::pair<std::string, std::string>> given;
  const auto add = [&](const char* option, const std::string& value, const char* otherwise) {
    if (value != otherwise) given.emplace_back(option, value);
  };
  add("weights", arguments.weights, "copy");
  add("dtype", arguments.dtype, "fp32");
  add("position-ids", arguments.position_ids, "");
  add("data-name", arguments.data_name, "");
  if (arguments.external_data) given.emplace_back("external-data", "");
  if (arguments.sample_mask) given.emplace_back("attention-mask", "");
  add("ids", arguments.ids, "int64");
  if (arguments.kept_logits) given.emplace_back("num-logits-to-keep", "");
  if (arguments.max_sequence) given.emplace_back("max-sequence", std::to_string(*arguments.max_sequence));
  return given;
}

/// Throws Error(usage) for the first option that the package cannot honour.
void require_honoured(const Package& package, const ExportArguments& arguments) {
  for (const auto& [option, value] : given_options(arguments)) {
    for (const std::string& spelling : {option, option + "=" + value}) {
      const auto refused = package.refused.find(spelling);
      if (refused == package.refused.end()) continue;
      throw Error(Failure::usage,
                  fmt::format("--layout {} cannot honour --{}{}: {}", package.layout.name, option,
                              value.empty() ? "" : " " + value, refused->second),
                  "leave one of the two out");
    }
  }
  if (suffix_for(package, arguments.dtype)) return;
  throw Error(Failure::usage,
              fmt::format("--layout {} has no name for graphs in {}", package.layout.name, arguments.dtype),
              "choose another --dtype");
}

void plan_layout(const ExportArguments& arguments, ExportPlan& plan) {
  if (arguments.model_card && arguments.output.extension() == ".onnx")
    meaningless("--model-card", "an output that is one file: it is the README.md of a folder");
  plan.layout = find_layout(arguments.layout);
  if (plan.layout != nullptr) return;
  plan.package = find_package(arguments.layout);
  plan.layout = &plan.package->layout;
  require_honoured(*plan.package, arguments);
}

}  // namespace

void require_file(const std::string& option, const std::filesystem::path& file, const std::string& hint) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(file, ignored)) return;
  const bool is_folder = std::filesystem::is_directory(file, ignored);
  throw Error(Failure::usage,
              fmt::format("{} {}: {}", option, file.string(), is_folder ? "that is a folder" : "there is no such file"),
              hint);
}

void require_kernels(const std::filesystem::path& library, const PluginArguments& plugins) {
  if (plugins.safe && !library.empty())
    meaningless("--custom-ops", "--safe: nothing is loaded but what came with the program");
  if (!library.empty())
    require_file("--custom-ops", library, "name the library that registers the kernels with ONNX Runtime");
}

std::optional<double> tolerance_from(std::optional<double> atol) {
  if (!atol || (*atol > 0 && std::isfinite(*atol))) return atol;
  throw Error(Failure::usage, fmt::format("--atol {} is no tolerance", *atol), "give a number above 0, such as 1e-4");
}

ExportPlan plan_export(const ExportArguments& arguments) {
  require_available(arguments);
  ExportPlan plan;
  plan.validation = plan_validation(arguments);
  plan.weights = plan_weights(arguments);
  tolerance_from(arguments.atol);
  plan_layout(arguments, plan);
  plan.plugins = arguments.plugins;
  plan.model = arguments.model;
  plan.feature = arguments.feature;
  plan.plugin = arguments.plugin;
  if (!arguments.position_ids.empty()) plan.positions = value_of(position_choices, arguments.position_ids);
  plan.sample_mask = arguments.sample_mask;
  plan.noise_is_given = arguments.noise == "input";
  plan.opset = arguments.opset;
  plan.inputs = plan_inputs(arguments);
  if (!arguments.runtime.empty()) plan.runtime = inspect::runtime_from(arguments.runtime);
  plan.max_memory = arguments.max_memory;
  plan.outputs = arguments.outputs;
  plan.scores = arguments.scores;
  plan.allow_unused = arguments.allow_unused;
  plan.strict_config = arguments.strict_config;
  plan.model_card = arguments.model_card;
  plan.dry_run = arguments.dry_run;
  plan.skip_existing = arguments.skip_existing;
  plan.keep_custom_ops = arguments.keep_custom_ops;
  require_kernels(arguments.custom_ops, arguments.plugins);
  if (!arguments.custom_ops.empty() && !plan.validation)
    meaningless("--custom-ops", "--no-validate: its kernels are for validation");
  plan.custom_ops = arguments.custom_ops;
  if (!arguments.depth.calibration.empty())
    require_file("--calibration", arguments.depth.calibration, calibration_hint);
  plan.calibration = arguments.depth.calibration;
  plan.output = arguments.output;
  return plan;
}

}  // namespace onnxport

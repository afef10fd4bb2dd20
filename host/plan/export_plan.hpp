// SPDX-License-Identifier: Apache-2.0
// An export as it was asked for, checked and typed. What depends on the options alone is refused here, before anything
// is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/runtime.hpp"
#include "core/package/layout.hpp"
#include "core/passes/input_form.hpp"
#include "core/passes/kept_modules.hpp"
#include "host/plan/arguments.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/package.hpp"
#include "host/plan/script_reference.hpp"

namespace onnxport {

/// Where an export keeps its weights, and in which type.
struct WeightPlan {
  WeightPlace place = WeightPlace::copy;
  ir::DType dtype = ir::DType::f32;
  bool external_data = false;  // asked for, whatever their size
  std::string data_name;       // of that file; empty: the model's name + "_data"
  KeptModules keep_fp32{};     // in 16 bits, beside what the plugin keeps
  bool keeps_range = false;    // and what would leave the type's range
};

struct ValidationPlan {
  std::optional<double> atol;  // nullopt: the model's own
  PreprocessorKind preprocessor = PreprocessorKind::any;
  ValidationBudget budget = ValidationBudget::normal;
  bool traces_values = false;
  std::optional<uint64_t> segment_size{};      // bytes
  std::vector<ScriptReference> references{};   // the original, or parts of it, as TorchScript
  std::vector<std::filesystem::path> cases{};  // what was recorded of it
};

struct ExportPlan {
  PluginArguments plugins;
  ModelArguments model;
  std::string feature;  // empty: by config.json's architectures
  std::string plugin;   // empty: the only one that offers the type
  std::optional<Positions> positions;
  bool sample_mask = false;      // an input, also where the model's type does without
  bool noise_is_given = false;   // by inputs, where the model draws numbers by chance
  std::optional<int64_t> opset;  // nullopt: the model's
  InputForm inputs;
  std::optional<inspect::Runtime> runtime;  // that is to run the file; nullopt: nobody said
  std::shared_ptr<const Package> package;   // null: only a layout
  const Layout* layout = nullptr;           // the package's own, or a row of layouts()
  WeightPlan weights;
  std::optional<uint64_t> max_memory;  // bytes
  std::vector<std::string> outputs;    // further ones
  std::string scores;                  // how a classifier's logits become scores; empty: they do not
  bool allow_unused = false;
  std::optional<bool> strict_config;         // fields that nobody reads are an error; none: for extensions
  bool model_card = false;                   // a README.md that says what was exported
  bool keep_custom_ops = false;              // operators of a plugin's own are written without what they are made of
  std::filesystem::path custom_ops;          // the library of their kernels; empty: none
  std::optional<ValidationPlan> validation;  // nullopt: none
  std::filesystem::path calibration;         // inputs as they are in use; empty: none are given
  bool dry_run = false;                      // tell what would be written, and write nothing
  bool skip_existing = false;                // do nothing where the output is what would be written
  std::filesystem::path output;
};

/// Throws Error(usage) for values that this version does not have, and for combinations without a meaning.
ExportPlan plan_export(const ExportArguments& arguments);

/// The word of --keep-fp32 for what would leave the range of 16 bits.
inline constexpr const char* keep_range_word = "auto";
/// What may be named with --calibration.
inline constexpr const char* calibration_hint =
    "name a file of token ids, a text a line, or inputs of the model as safetensors";

/// Throws Error(usage) where the file that an option names is not there.
void require_file(const std::string& option, const std::filesystem::path& file, const std::string& hint);

/// Throws Error(usage) where a library of kernels is named that is not there.
void require_kernels(const std::filesystem::path& library, const PluginArguments& plugins);

/// The tolerance that --atol gives. Throws Error(usage) for a number that is none.
std::optional<double> tolerance_from(std::optional<double> atol);

}  // namespace onnxport

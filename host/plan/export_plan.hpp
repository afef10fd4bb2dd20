// SPDX-License-Identifier: Apache-2.0
// An export as it was asked for, checked and typed. What depends on the options alone is refused here, before anything
// is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/package/layout.hpp"
#include "host/plan/arguments.hpp"
#include "host/plan/choices.hpp"

namespace onnxport {

/// Where an export keeps its weights, and in which type.
struct WeightPlan {
  WeightPlace place = WeightPlace::copy;
  ir::DType dtype = ir::DType::f32;
  bool external_data = false;  // asked for, whatever their size
  std::string data_name;       // of that file; empty: the model's name + "_data"
};

struct ValidationPlan {
  std::optional<double> atol;  // nullopt: the model's own
  PreprocessorKind preprocessor = PreprocessorKind::any;
};

struct ExportPlan {
  PluginArguments plugins;
  ModelArguments model;
  std::string feature;  // empty: by config.json's architectures
  std::string plugin;   // empty: the only one that offers the type
  std::optional<Positions> positions;
  bool sample_mask = false;      // an input, also where the model's type does without
  std::optional<int64_t> opset;  // nullopt: the model's
  const Layout* layout = nullptr;
  WeightPlan weights;
  std::optional<uint64_t> max_memory;  // bytes
  std::vector<std::string> outputs;    // further ones
  bool allow_unused = false;
  bool keep_custom_ops = false;              // operators of a plugin's own are written without what they are made of
  std::filesystem::path custom_ops;          // the library of their kernels; empty: none
  std::optional<ValidationPlan> validation;  // nullopt: none
  std::filesystem::path output;
};

/// Throws Error(usage) for values that this version does not have, and for combinations without a meaning.
ExportPlan plan_export(const ExportArguments& arguments);

/// Throws Error(usage) where a library of kernels is named that is not there.
void require_kernels(const std::filesystem::path& library);

/// The tolerance that --atol gives. Throws Error(usage) for a number that is none.
std::optional<double> tolerance_from(std::optional<double> atol);

}  // namespace onnxport

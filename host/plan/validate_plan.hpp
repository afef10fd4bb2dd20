// SPDX-License-Identifier: Apache-2.0
// A validation as it was asked for, checked.
#pragma once

#include "host/plan/arguments.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/script_reference.hpp"

namespace onnxport {

/// What a model that was exported before is compared with.
struct ValidatePlan {
  PluginArguments plugins;
  std::filesystem::path output;
  std::optional<ModelArguments> model;       // its checkpoint
  std::vector<std::filesystem::path> cases;  // recorded outputs, beside the checkpoint or instead of it
  ValidationBudget budget = ValidationBudget::normal;
  bool traces_values = false;
  std::optional<uint64_t> segment_size, max_memory;  // bytes
  std::vector<ScriptReference> references;  // the original, or parts of it, as TorchScript, beside the checkpoint
  std::optional<double> atol;
  std::string plugin;
  std::string feature;                // of files that do not say it; empty: told by the checkpoint and their inputs
  std::filesystem::path custom_ops;   // a library of kernels; empty: none
  std::filesystem::path calibration;  // inputs as they are in use; empty: none are given
};

/// Throws Error(usage) where nothing, or two things, are named to compare with, and for an --atol that is none.
ValidatePlan plan_validate(const ValidateArguments& arguments);

}  // namespace onnxport

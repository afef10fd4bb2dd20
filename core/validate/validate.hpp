// SPDX-License-Identifier: Apache-2.0
// validate_model_outputs: the written file against the reference.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "core/validate/compare.hpp"

namespace onnxport {

/// One set of inputs that was compared.
struct ValidationRun {
  std::string label;  // "batch 2, sequence 8, padded"
  std::vector<Difference> differences;
  bool passes = false;
};

struct ValidationReport {
  std::vector<ValidationRun> runs;
  /// The first step of the model that departs, where a run failed: "encoder.layer.3.attention.self" with its
  /// difference.
  std::optional<std::string> first_departure;
  bool passes() const;
  double largest_difference() const;
};

/// Inputs with what to call them.
struct ValidationInputs {
  std::string label;
  Tensors inputs;
  std::optional<Tensors> expected;  // recorded outputs (a case file) instead of the reference
};

/// Runs onnx.checker with full shape inference over the file. Throws Error(differs) with the checker's text.
void check_model_file(const std::filesystem::path& file);

/// Evaluates every set of inputs by `reference` (where it has no recorded outputs) and by `onnx`, and compares every
/// output.
ValidationReport validate_model_outputs(Runnable* reference, Runnable& onnx,
                                        const std::vector<ValidationInputs>& inputs, const Tolerance& tolerance,
                                        const std::function<void(const ValidationRun&)>& each = {});

/// A case file: tensors in/NAME and out/NAME. Throws Error(checkpoint) where it is none.
ValidationInputs read_case(const std::filesystem::path& file);

/// A file and how its graph came about.
struct WrittenModel {
  std::filesystem::path file;
  GraphForm form;
};

/// The first step of the definition whose result the written file does not reproduce, for the inputs given:
/// "encoder.layer.3.attention.self (Attention): differs by 0.01". Runs the file again with every result as an output.
std::optional<std::string> first_departure(const OnnxConfig& config, const Definition& definition,
                                           const WrittenModel& written, const Tensors& inputs,
                                           const Tolerance& tolerance);

}  // namespace onnxport

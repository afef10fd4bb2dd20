// SPDX-License-Identifier: Apache-2.0
// Validation as the commands run and report it.
#pragma once

#include <optional>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "core/validate/validate.hpp"
#include "host/console.hpp"

namespace onnxport {

/// Throws Error(usage) naming what is missing where a back end is not installed.
void require_backends(bool reference);

/// Throws Error(usage) with the figures where both back ends would not fit into memory with these weights.
void require_memory(uint64_t weight_bytes, uint64_t file_bytes);

/// Three sets of inputs that differ from each other in batch and sequence, two of them padded: the first is what
/// transformers.onnx uses. Lengths stay within the positions that the config allows. Images of a size that is free come
/// in three. `part` names the graph of a layout.
std::vector<ValidationInputs> validation_inputs(const OnnxConfig& config, const Json& model_config,
                                                const Preprocessor* preprocessor, const std::string& part = {});

/// What validation found.
struct Verdict {
  bool passes = true;
  double largest = 0;
  void add(const Verdict& other);
};

/// One comparison: with a definition, or, where that is null, with recorded outputs.
struct Comparison {
  const Definition* definition = nullptr;
  std::vector<ValidationInputs> inputs;
};

/// A written file and what it was lowered with.
struct FileToValidate {
  std::filesystem::path file;
  GraphForm form;
  std::vector<Comparison> comparisons;
};

/// Checks the file and makes its comparisons; reports each set as it ends. Where one differs, the first step that
/// departs is looked for.
Verdict validate_file(const OnnxConfig* config, const FileToValidate& written, const Tolerance& tolerance,
                      Console& console);

/// A layout's files against the definitions that they hold, and, where there is a cache, the cached step against the
/// uncached run of the same tokens.
struct ExportToValidate {
  const OnnxConfig& config;
  const Json& model_config;
  const Preprocessor* preprocessor;
  const std::vector<GraphToExport>& graphs;
  WeightSource* weights;
  std::filesystem::path folder;
  GraphForm form;
};
/// Files in a type that ONNX Runtime has no kernels for here (bf16) are only checked, and what can be run is run in
/// their place: the same definitions in f32 with their weights rounded to the type. The report says so.
Verdict validate_export(const ExportToValidate& exported, const Tolerance& tolerance, Console& console);

/// What validation accepts: `atol` where the user gave one, else the model's own and, for models in 16 bits, a part of
/// each output's largest value that fits the type's precision.
Tolerance tolerance_for(const OnnxConfig& config, ir::DType dtype, std::optional<double> atol);
/// "1e-05", "1e-05 + 1e-05 of each value + 8e-03 of an output's largest"
std::string describe(const Tolerance& tolerance);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Validation as the commands run and report it.
#pragma once

#include <optional>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/validate/validate.hpp"
#include "host/console.hpp"

namespace onnxport {

/// Throws Error(usage) naming what is missing where a back end is not installed.
void require_backends(bool reference);

/// Throws Error(usage) with the figures where both back ends would not fit into memory with these weights.
void require_memory(uint64_t weight_bytes, uint64_t file_bytes);

/// Bytes of the graph's weights, each counted once.
uint64_t weight_bytes(const ir::Graph& graph);

/// Three sets of inputs that differ from each other in batch and sequence, two of them padded: the first is what
/// transformers.onnx uses. Lengths stay within the positions that the config allows.
std::vector<ValidationInputs> validation_inputs(const OnnxConfig& config, const Json& model_config,
                                                const Preprocessor* preprocessor);

/// What validation found.
struct Verdict {
  bool passes = false;
  double largest = 0;
};

/// Checks the file and compares it with the definition (or, where a set has recorded outputs, with those; then the
/// definition may be null) and reports each set as it ends. Where one differs, the first step that departs is looked
/// for.
Verdict validate_file(const OnnxConfig* config, const Definition* definition, const std::filesystem::path& model,
                      int64_t opset, const std::vector<ValidationInputs>& inputs, double atol, Console& console);

}  // namespace onnxport

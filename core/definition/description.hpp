// SPDX-License-Identifier: Apache-2.0
// What a plugin says of one model type with one feature, as plain data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/ir/types.hpp"
#include "core/split_list.hpp"

namespace onnxport {

/// An input of the graph.
struct InputSpec {
  std::string name;
  ir::TensorType type;
  /// The largest index + 1 that dummy inputs may hold; 0 where that does not apply.
  int64_t limit = 0;
  /// Axes of a fixed size that the file leaves open, with their names.
  std::map<size_t, std::string> open_axes;
};

/// An output: its name and the axes that the plugin declared; nullopt leaves an axis to inference.
struct OutputSpec {
  std::string name;
  std::vector<std::optional<ir::Dim>> axes;
};

/// An operator whose lowering the plugin replaces for this export.
struct PatchSpec {
  std::string domain, op;
  uint64_t tag;
};

struct Description {
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::map<std::string, int64_t> integers;   // "default_opset", "with_past", ...
  std::map<std::string, double> reals;       // "atol_for_validation"
  std::map<std::string, std::string> texts;  // "base_model_prefix"
  std::vector<std::pair<std::string, std::string>> value_overrides;
  std::vector<PatchSpec> patches;

  int64_t integer(const std::string& name, int64_t fallback) const {
    const auto found = integers.find(name);
    return found == integers.end() ? fallback : found->second;
  }
  /// Modules that stay in f32 when the model is exported in 16 bits; the text "keep_in_fp32" names them with commas.
  std::vector<std::string> keep_in_fp32() const { return list("keep_in_fp32"); }
  /// The words of a text that lists them with commas; none where there is no such text.
  std::vector<std::string> list(const std::string& name) const {
    const auto found = texts.find(name);
    return found == texts.end() ? std::vector<std::string>() : split_list(found->second);
  }
};

}  // namespace onnxport

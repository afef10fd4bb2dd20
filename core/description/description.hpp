// SPDX-License-Identifier: Apache-2.0
// What a plugin says of one model type with one feature, as plain data.
#pragma once

#include <onnxport/abi.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ir/types.hpp"
#include "core/split_list.hpp"

namespace onnxport {

/// What an input is, as abi.h has it.
using Role = onnxport_role;

/// An input of the graph.
struct InputSpec {
  std::string name;
  ir::TensorType type;
  /// The largest index + 1 that dummy inputs may hold; 0 where that does not apply.
  int64_t limit = 0;
  /// Axes of a fixed size that the file leaves open, with their names.
  std::map<size_t, std::string> open_axes{};
  Role role = ONNXPORT_ROLE_OTHER;
  /// The input to which it belongs; or the output of another part that it, or what it masks, is.
  std::string of{};
  /// Where dummy reals lie; the host chooses where low >= high.
  double low = 0, high = 0;
  /// Every dummy value.
  std::optional<double> fill{};
};

/// How long an axis may be; 0 where nothing is said.
struct AxisSize {
  int64_t usual = 0, minimum = 0, maximum = 0, step = 0;
};

/// A state of a cache: what a step takes as the input `past` and leaves as the output `present`.
struct StateSpec {
  std::string past;
  /// An output of the same graph or, where a step keeps the state as it is, of its first step.
  std::string present;
  /// The axis along which a step appends; nullopt: replaced as a whole, or kept.
  std::optional<size_t> grows{};
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
  std::map<std::string, AxisSize> axes;  // by symbol
  std::vector<StateSpec> states;

  /// The input or output of that name; null where there is none.
  const InputSpec* input(std::string_view name) const { return named(inputs, name); }
  const OutputSpec* output(std::string_view name) const { return named(outputs, name); }
  int64_t integer(const std::string& name, int64_t fallback) const {
    const auto found = integers.find(name);
    return found == integers.end() ? fallback : found->second;
  }
  /// The versions of domains of the plugin's own operators, by the facts "version:DOMAIN".
  std::map<std::string, int64_t> domain_versions() const {
    constexpr std::string_view prefix = "version:";
    std::map<std::string, int64_t> versions;
    for (const auto& [name, version] : integers) {
      if (name.starts_with(prefix)) versions.emplace(name.substr(prefix.size()), version);
    }
    return versions;
  }
  /// Modules that stay in f32 when the model is exported in 16 bits; the text "keep_in_fp32" names them with commas.
  std::vector<std::string> keep_in_fp32() const { return list("keep_in_fp32"); }
  /// The words of a text that lists them with commas; none where there is no such text.
  std::vector<std::string> list(const std::string& name) const {
    const auto found = texts.find(name);
    return found == texts.end() ? std::vector<std::string>() : split_list(found->second);
  }

 private:
  template <class Spec>
  static const Spec* named(const std::vector<Spec>& specs, std::string_view name) {
    for (const Spec& spec : specs) {
      if (spec.name == name) return &spec;
    }
    return nullptr;
  }
};

/// Takes an integer input of no stated role, limit and fill as the mask of the tokens or indices that have its shape.
void settle_roles(Description& description);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// The inputs on which a part of a model is compared.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/validate/validate.hpp"
#include "host/plan/choices.hpp"

namespace onnxport {

/// A part of a model, and what its inputs are made with. `fixed`: sizes that a file gives to axes, by their symbols;
/// `max_sequence`: what a past and a step may have together, where that is bounded.
struct InputsOf {
  const OnnxConfig& config;
  const Json& model_config;
  const Preprocessor* preprocessor;
  std::string part;
  std::map<std::string, int64_t> fixed{};
  int64_t max_sequence = 0;
};

/// One set of inputs to be made: every axis with its length, and what the values are like.
struct InputSet {
  std::string label;  // "batch 3, sequence 11, padded"
  DummyOptions options;
  /// Lengths of the part's axes by their symbols.
  std::map<std::string, int64_t> sizes;
};

/// How many positions config.json gives, and the field that says so.
struct StatedPositions {
  std::string field;
  int64_t count;
};
/// The least of those that it gives; nullopt where it gives none.
std::optional<StatedPositions> stated_positions(const Json& model_config);

/// The longest sequence that the plugin states or, where it does not, that config.json's positions allow; of these a
/// few are kept back, as some models begin to count after the padding id. Where there is a cache, what a past and a
/// step may each have; both together not more than `max_sequence`, where that is not 0.
int64_t longest_sequence(const OnnxConfig& config, const Json& model_config, int64_t max_sequence);

/// The sets that a budget has for the part, the first of them as transformers.onnx has it.
///   quick:     that, and another batch and length, padded on both sides
///   normal:    also everything as short as it may be, without a past; a past of one place where there is a cache
///   thorough:  also each axis by itself: as short as it may be, a prime, and longer than usual; each kind of padding
std::vector<InputSet> input_sets(const InputsOf& of, ValidationBudget budget);

/// The values of a set.
Tensors inputs_of(const InputsOf& of, const InputSet& set);

/// The same set with one axis as long as it is in another.
InputSet with_axis_of(const InputSet& set, const InputSet& other, const std::string& symbol);

}  // namespace onnxport

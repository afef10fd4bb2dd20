// SPDX-License-Identifier: Apache-2.0
// Inputs on which a model computes numbers as large as in use: texts of some length, and what its own parts make of
// them where a graph takes an encoder's result or a cache.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

/// What a file gives.
struct Calibration {
  std::string name;                         // of the file; empty where none is given
  std::vector<std::vector<int64_t>> texts;  // token ids
  Tensors inputs;                           // by name
};

/// Token ids, a text a line, or tensors (NAME, or in/NAME as in a case) as safetensors. Throws Error(usage) for a text
/// of something else, and Error(checkpoint) for a file that is broken.
Calibration read_calibration(const std::filesystem::path& file);

/// What inputs are made for.
struct CalibratedModel {
  const OnnxConfig& config;
  const Json& model_config;
  const Preprocessor* preprocessor;  // may be null
  WeightSource& weights;
  std::map<std::string, int64_t> fixed{};  // sizes that the file gives to axes
  int64_t max_sequence = 0;                // what a past and a step may have together; 0: any number
};

/// Sets of inputs for a part. Of a part with a cache, sets with an empty one and with one that the first step has
/// filled; where that cannot be run, one whose values are drawn, which its label says. Texts are cut to the length that
/// the model takes. Without a file, tokens are drawn from the vocabulary. Throws Error(usage) where the file's tensors
/// do not fit the part's inputs, or its ids the vocabulary.
std::vector<ValidationInputs> calibration_inputs(const CalibratedModel& model, const Calibration& given,
                                                 const std::string& part);

/// Throws Error(usage) where no part of these takes something that the file gives.
void require_taken(const CalibratedModel& model, const Calibration& given, const std::vector<std::string>& parts);

}  // namespace onnxport

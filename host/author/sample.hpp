// SPDX-License-Identifier: Apache-2.0
// Models on which a plugin is tried: configs, and recordings of the originals.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/random_weights.hpp"

namespace onnxport {

/// A config, with what was recorded of a model that has it.
struct Sample {
  std::filesystem::path config;
  std::string model_type;                    ///< as it states it
  std::string feature;                       ///< of the recording; empty: any
  std::vector<std::filesystem::path> cases;  ///< recorded outputs
  /// The weights that the recording is of: a checkpoint's folder, or those that synth draws.
  std::optional<std::filesystem::path> checkpoint;
  Draw draw;
  std::string dtype = "fp32";
  std::string drawn_for;             ///< the feature for which synth drew them; empty: that of the trial
  std::vector<std::string> outputs;  ///< further ones that were recorded
  double atol = 1e-4;                ///< for the recorded outputs
};

/// The samples of a folder with an index.json, as `onnxport record` writes it. Throws Error(checkpoint) where it has
/// none, or one of another form.
std::vector<Sample> samples_of_cases(const std::filesystem::path& folder);
/// A config.json, or all configs of a folder (*.json).
std::vector<Sample> samples_of_configs(const std::filesystem::path& path);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Trying a plugin: a model of one type and feature, from its config to compared outputs, in processes of their own.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "host/author/sample.hpp"
#include "host/plan/arguments.hpp"

namespace onnxport {

/// What is tried, and how.
struct Trial {
  const Sample& sample;
  std::string feature;
  std::vector<std::string> plugin_words;  ///< options that say which plugins count
  std::filesystem::path scratch;          ///< an empty folder, for the files of this trial
  std::chrono::seconds limit;             ///< for each process
};

/// Something that was checked.
struct Finding {
  std::string what;  ///< "validated", "same bytes twice"
  bool passes = false;
  std::string text;  ///< the figures, or what is wrong
};

/// What came of it, at one opset; 0 where it did not come so far.
struct TrialResult {
  std::string model_type, feature, config;
  int64_t opset = 0;
  std::vector<Finding> findings;
  bool differs_only = true;  ///< whether all that is wrong are differences above the tolerance

  bool passes() const;
};

/// Draws weights for the config, exports at the lowest and the highest opset, each twice, validates and compares with
/// the recordings. Whatever the plugin does to these processes is a finding.
std::vector<TrialResult> try_out(const Trial& trial);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Every type and feature of a plugin, tried out.
#pragma once

#include <functional>

#include "host/author/trial.hpp"
#include "registry/manifest.hpp"

namespace onnxport {

/// What of a plugin was tried, and what could not be.
struct PluginTrials {
  std::vector<TrialResult> results;
  /// Features for which there is no config, "TYPE FEATURE".
  std::vector<std::string> without_sample;
  /// Features that the plugin states as known not to work, with its reason.
  std::vector<std::string> known_gaps;

  bool passes() const;
};

/// How a plugin is tried.
struct TryPlugin {
  const Manifest& manifest;
  const std::vector<Sample>& samples;
  std::vector<std::string> plugin_words;
  std::chrono::seconds limit;
  std::function<void(const TrialResult&)> each;  ///< called behind every one
};

/// Each feature of each type on its recordings or, where there are none, on the first config of its type.
PluginTrials try_plugin(const TryPlugin& plugin);

}  // namespace onnxport

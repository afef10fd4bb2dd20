// SPDX-License-Identifier: Apache-2.0
// Opens a plugin's library once everything that can be known from outside is in order.
#pragma once

#include <onnxport/abi.h>

#include <filesystem>
#include <string>

#include "registry/manifest.hpp"

namespace onnxport {

struct Candidate;

/// A library that was opened and whose facts equal its manifest. Valid until the process ends.
struct LoadedPlugin {
  const onnxport_plugin* plugin = nullptr;
  const onnxport_onnx_config_1* onnx_config = nullptr;
  const Manifest* manifest = nullptr;
  std::filesystem::path library;
  std::string sha256;
};

/// Loads the candidate's library, for an extension that of the plugin it extends. A library is opened once in
/// a process and never unloaded. Throws Error(plugin) naming file, what was found, what was expected and the
/// next step. [any-thread]
const LoadedPlugin& load(const Candidate& candidate, const onnxport_host& host);

}  // namespace onnxport

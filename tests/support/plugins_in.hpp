// SPDX-License-Identifier: Apache-2.0
// The registry of folders that a test names, and of no others.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "registry/registry.hpp"

namespace onnxport::test {

inline Registry plugins_in(std::vector<std::filesystem::path> places,
                           std::optional<std::filesystem::path> trust_file = {}) {
  SearchOptions options;
  options.plugin_dirs = std::move(places);
  options.environment = false;
  options.install_dir = "/nonexistent";
  options.trust_file = std::move(trust_file);
  return Registry::discover(options);
}

}  // namespace onnxport::test

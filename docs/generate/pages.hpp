// SPDX-License-Identifier: Apache-2.0
// The pages of docs/ that hold generated tables, and what they are generated from.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "registry/manifest.hpp"
#include "registry/registry.hpp"

namespace onnxport {

/// What is known of the plugins that were built.
struct BuiltPlugins {
  std::vector<Manifest> manifests;  ///< by the folders' names
  Registry registry;
  std::filesystem::path sources;  ///< plugins/ of the source tree
};

struct Page {
  std::string file;  ///< below docs/
  /// The page as it has to be; what is not generated is that of the present page.
  std::function<std::string(const std::string& present_page, const BuiltPlugins& plugins)> make;
};

/// Every page that has generated parts.
std::vector<Page> pages();

/// The plugins whose folders stand below `folder`, and none that are installed. Throws where there is none.
BuiltPlugins plugins_below(const std::filesystem::path& folder, const std::filesystem::path& sources);

}  // namespace onnxport

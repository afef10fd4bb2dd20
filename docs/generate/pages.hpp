// SPDX-License-Identifier: Apache-2.0
// The pages of docs/ that hold generated tables, and what they are generated from.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "registry/manifest.hpp"

namespace onnxport {

struct Page {
  std::string file;  ///< below docs/
  /// The page as it has to be; what is not generated is that of the present page.
  std::function<std::string(const std::string& present_page, const std::vector<Manifest>& manifests)> make;
};

/// Every page that has generated parts.
std::vector<Page> pages();

/// The manifests of the plugins' folders below a folder, by their folders' names. Throws where there is none.
std::vector<Manifest> manifests_below(const std::filesystem::path& folder);

}  // namespace onnxport

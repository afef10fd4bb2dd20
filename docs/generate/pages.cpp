// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/pages.hpp"

#include <algorithm>
#include <stdexcept>

#include "docs/generate/models_page.hpp"
#include "docs/generate/operators_page.hpp"

namespace onnxport {

std::vector<Page> pages() {
  const auto operators = [](const std::string& present, const std::vector<Manifest>&) {
    return operators_page(present);
  };
  return {{"models.md", models_page}, {"operators.md", operators}};
}

std::vector<Manifest> manifests_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (std::filesystem::exists(entry.path() / "plugin.yaml")) files.push_back(entry.path() / "plugin.yaml");
  }
  if (files.empty()) throw std::runtime_error(folder.string() + " holds no plugin; build the plugins first");
  std::sort(files.begin(), files.end());
  std::vector<Manifest> manifests;
  for (const std::filesystem::path& file : files) manifests.push_back(read_manifest(file));
  return manifests;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/pages.hpp"

#include <algorithm>
#include <stdexcept>

#include "docs/generate/fields_page.hpp"
#include "docs/generate/models_page.hpp"
#include "docs/generate/operators_page.hpp"
#include "docs/generate/sdk_page.hpp"

namespace onnxport {

std::vector<Page> pages() {
  const auto operators = [](const std::string& present, const BuiltPlugins&) { return operators_page(present); };
  const auto models = [](const std::string& present, const BuiltPlugins& plugins) {
    return models_page(present, plugins.manifests);
  };
  const auto sdk = [](const std::string& present, const BuiltPlugins& plugins) {
    return sdk_page(present, plugins.sources.parent_path() / "sdk/include");
  };
  return {{"fields.md", fields_page}, {"models.md", models}, {"operators.md", operators}, {"sdk-index.md", sdk}};
}

BuiltPlugins plugins_below(const std::filesystem::path& folder, const std::filesystem::path& sources) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (std::filesystem::exists(entry.path() / "plugin.yaml")) files.push_back(entry.path() / "plugin.yaml");
  }
  if (files.empty()) throw std::runtime_error(folder.string() + " holds no plugin; build the plugins first");
  std::sort(files.begin(), files.end());
  SearchOptions only;
  only.environment = false;
  only.plugin_dirs = {folder};
  BuiltPlugins plugins{{}, Registry::discover(only), sources};
  for (const std::filesystem::path& file : files) plugins.manifests.push_back(read_manifest(file));
  return plugins;
}

}  // namespace onnxport

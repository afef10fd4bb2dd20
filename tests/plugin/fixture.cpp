// SPDX-License-Identifier: Apache-2.0
#include "tests/plugin/fixture.hpp"

#include <cstdlib>

#include "registry/features_manager.hpp"

namespace onnxport::test {

namespace fs = std::filesystem;

const Registry& built_plugins() {
  static const Registry found = [] {
    SearchOptions options;
    options.environment = false;
    options.plugin_dirs = {fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins"};
    return Registry::discover(options);
  }();
  return found;
}

fs::path recorded(const std::string& plugin, const std::string& checkpoint) {
  return fs::path(ONNXPORT_PLUGIN_SOURCES) / plugin / "cases" / checkpoint;
}

OnnxConfig config_of(const ModelFolder& folder, const std::string& model_type, const std::string& feature) {
  const FeaturesManager features(built_plugins());
  const Candidate& candidate = built_plugins().find(model_type);
  PluginTable table = features.table_of(candidate);
  if (const Manifest::Model* model = candidate.manifest.model(model_type)) table.features = model->features;
  return OnnxConfig::from_folder(table, folder, model_type, feature);
}

bool test_all() {
  return std::getenv("ONNXPORT_TEST_ALL") != nullptr;
}

}  // namespace onnxport::test

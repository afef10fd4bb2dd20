// SPDX-License-Identifier: Apache-2.0
// Any text as config.json of a known model type and all of its features: an onnx-config, or an error of the kind that
// users see. The text itself chooses the type, so that all have their turn.
#include <cstdlib>
#include <filesystem>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "registry/features_manager.hpp"
#include "registry/loader.hpp"
#include "tests/fuzz/targets.hpp"

namespace {

using namespace onnxport;

const Registry& registry() {
  static const Registry found = [] {
    SearchOptions options;
    options.environment = false;
    options.plugin_dirs = {std::filesystem::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins"};
    return Registry::discover(options);
  }();
  return found;
}

/// Only small models are defined: a definition of thousands of layers is slow, not wrong.
bool is_small(const Json& config) {
  const auto layers = config.find("num_hidden_layers");
  return layers != config.end() && layers->is_number_integer() && layers->get<int64_t>() < 4;
}

void try_config(const Json& config, const std::string& type, const std::string& feature) {
  const LoadedPlugin& plugin = load(registry().find(type), plugin_host());
  try {
    const OnnxConfig onnx =
        OnnxConfig::from_model_config({plugin.onnx_config, plugin.manifest->id}, config, type, feature);
    WeightSource weights;
    if (is_small(config)) onnx.define(weights);
  } catch (const Error& error) {
    if (error.failure() == Failure::internal) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Json config;
  try {
    config = parse_json(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
  } catch (const Error& error) {
    if (error.failure() != Failure::checkpoint) std::abort();
    return 0;
  }
  if (!config.is_object()) return 0;
  const FeaturesManager features(registry());
  const std::vector<std::string> types = registry().model_types();
  size_t sum = size;
  for (size_t i = 0; i < size; ++i) sum = sum * 31 + data[i];
  const std::string& type = types[sum % types.size()];
  for (const std::string& feature : features.get_supported_features_for_model_type(type))
    try_config(config, type, feature);
  return 0;
}

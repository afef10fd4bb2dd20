// SPDX-License-Identifier: Apache-2.0
// An export runs each pass once: weights are compared, and folded, no more than that.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <string>

#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "registry/features_manager.hpp"
#include "registry/loader.hpp"

namespace fs = std::filesystem;
using namespace onnxport;

BOOST_AUTO_TEST_CASE(an_export_runs_each_pass_once) {
  SearchOptions options;
  options.environment = false;
  options.plugin_dirs = {fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins"};
  const Registry registry = Registry::discover(options);
  const FeaturesManager features(registry);
  const Checkpoint checkpoint =
      Checkpoint::open(fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/goldens/bert/BertForMaskedLM");
  const auto supported = features.check_supported_model_or_raise("bert", "masked-lm");
  const LoadedPlugin& plugin = load(supported, plugin_host());
  const OnnxConfig config = OnnxConfig::from_model_config({plugin.onnx_config, plugin.manifest->id},
                                                          checkpoint.config(), "bert", "masked-lm");
  WeightSource weights(checkpoint);
  const Definition definition = config.define(weights);
  std::string folder = (fs::temp_directory_path() / "onnxport-passes-XXXXXX").string();
  BOOST_REQUIRE(::mkdtemp(folder.data()) != nullptr);
  for (const ir::DType dtype : {ir::DType::f32, ir::DType::f16}) {
    std::map<std::string, int> runs;
    const PassObserver before =
        observe_passes([&](std::string_view pass, const ir::Graph&) { ++runs[std::string(pass)]; });
    export_onnx(config, definition, folder, {.opset = 18, .dtype = dtype});
    observe_passes(before);
    for (const char* pass : {"tie equal weights", "fold weights", "apply rules", "merge equal nodes"})
      BOOST_TEST(runs[pass] == 1, pass << " ran " << runs[pass] << " times");
    BOOST_TEST(runs["narrow"] == (dtype == ir::DType::f32 ? 0 : 1));
  }
  fs::remove_all(folder);
}

// SPDX-License-Identifier: Apache-2.0
// One test case per recorded checkpoint and feature: exported at several opsets, run by ONNX Runtime, and compared with
// what the original model answered. Where the reference back end is built, it is held to the same recordings.
//
// The recordings of tests/fixtures/goldens always run; where ONNXPORT_GOLDENS lists folders with an index.json, by
// colons, all of them that a plugin covers run as well.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <sstream>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/validate/validate.hpp"
#include "registry/features_manager.hpp"
#include "registry/registry.hpp"

namespace {

namespace fs = std::filesystem;
using namespace onnxport;

constexpr int64_t opsets[] = {13, 17, 18, 20, 23, 24};

struct Golden {
  fs::path folder;
  std::string model_type, feature;
  std::vector<std::string> cases;
  std::vector<std::string> outputs;  // further ones that are recorded: "hidden_states"
  double atol;
};

Registry& registry() {
  static Registry found = [] {
    SearchOptions options;
    options.environment = false;
    options.plugin_dirs = {fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins"};
    return Registry::discover(options);
  }();
  return found;
}

/// A folder of its own for one test case, removed afterwards.
struct Scratch {
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "onnxport-golden-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Scratch() { fs::remove_all(path); }
  fs::path path;
};

void expect_equal(const std::string& who, const Tensors& expected, const Tensors& actual, double atol) {
  for (const Difference& difference : compare(expected, actual, atol)) {
    BOOST_CHECK_MESSAGE(difference.passes, fmt::format("{}: {} differs by {} (tolerance {}) {}", who, difference.output,
                                                       difference.max_abs, atol, difference.problem));
  }
}

/// The definition as it was recorded: by forward(), which is given no positions and counts them in sequence, whatever a
/// type counts when it generates.
OnnxConfig as_recorded(const Golden& golden, const Checkpoint& checkpoint) {
  const LoadedPlugin& plugin = load(registry().find(golden.model_type), plugin_host());
  const auto made = [&](const Json& options) {
    return OnnxConfig::from_folder({plugin.onnx_config, plugin.manifest->id},
                                   {checkpoint.config(), golden.folder, options}, golden.model_type, golden.feature);
  };
  OnnxConfig config = made(Json::object());
  const auto positions = config.description().texts.find("positions");
  const bool otherwise = positions != config.description().texts.end() && positions->second != "sequence";
  return otherwise ? made({{"position_ids", "sequence"}}) : std::move(config);
}

void run_golden(const Golden& golden) {
  const Checkpoint checkpoint = Checkpoint::open(golden.folder);
  const OnnxConfig config = as_recorded(golden, checkpoint);
  WeightSource weights(checkpoint);
  const Definition definition = config.define(weights, {.outputs = golden.outputs});
  std::vector<ValidationInputs> recorded;
  for (const std::string& name : golden.cases) recorded.push_back(read_case(golden.folder / name));

  if (backend_installed("reference")) {
    const auto reference = load_backend("reference").load_graph(definition.graph);
    for (const ValidationInputs& set : recorded) {
      expect_equal("reference, " + set.label, *set.expected, reference->run(set.inputs), golden.atol);
    }
  }
  for (int64_t opset : opsets) {
    const Scratch scratch;
    const ExportResult result = export_onnx(config, definition, scratch.path, {.opset = opset});
    BOOST_CHECK_NO_THROW(check_model_file(result.files[0].path));
    const auto runnable = load_backend("onnxruntime").load_file(result.files[0].path.string());
    for (const ValidationInputs& set : recorded) {
      expect_equal(fmt::format("opset {}, {}", opset, set.label), *set.expected, runnable->run(set.inputs),
                   golden.atol);
    }
  }
}

/// What a recording without a feature is exported by, which is its class: the base model's, or one with heads of its
/// own, all of which a recording of a …ForPreTraining has.
std::string feature_of_class(const std::string& type, const std::string& architecture) {
  if (architecture.ends_with("ForPreTraining")) return "pretraining";
  const std::vector<std::string> types = registry().model_types();
  if (std::find(types.begin(), types.end(), type) == types.end()) return "default";
  return FeaturesManager::feature_from_architecture(*registry().resolve(type).model, architecture).value_or("default");
}

std::vector<Golden> goldens_of(const fs::path& root) {
  std::vector<Golden> goldens;
  std::map<std::string, int> without_plugin;
  const std::vector<std::string> types = registry().model_types();
  const std::set<std::string> covered(types.begin(), types.end());
  for (const Json& row : read_json(root / "index.json")) {
    if (row.at("path").is_null()) continue;  // could not be recorded; the row's notes say why
    Golden golden;
    golden.folder = root / row.at("path").get<std::string>();
    golden.model_type = row.at("model_type");
    golden.feature = row.at("feature");
    if (golden.feature == "default") golden.feature = feature_of_class(golden.model_type, row.at("architecture"));
    golden.atol = row.at("atol");
    for (const char* list : {"cases", "extra_cases"}) {
      for (const Json& name : row.at(list)) golden.cases.push_back(name);
    }
    if (row.contains("outputs")) golden.outputs = row["outputs"].get<std::vector<std::string>>();
    if (covered.contains(golden.model_type))
      goldens.push_back(std::move(golden));
    else
      ++without_plugin[golden.model_type];
  }
  if (!without_plugin.empty()) {
    std::cout << root.string() << ": not tested, no plugin for";
    for (const auto& [type, count] : without_plugin) std::cout << ' ' << type << " (" << count << ")";
    std::cout << '\n';
  }
  return goldens;
}

}  // namespace

bool register_golden_cases() {
  std::vector<fs::path> roots{fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/goldens"};
  const char* given = std::getenv("ONNXPORT_GOLDENS");
  std::istringstream more(given == nullptr ? "" : given);
  for (std::string root; std::getline(more, root, ':');) {
    if (!root.empty()) roots.emplace_back(root);
  }
  auto& master = boost::unit_test::framework::master_test_suite();
  for (const fs::path& root : roots) {
    for (const Golden& golden : goldens_of(root)) {
      // Several folders may hold a recording of one name, and not the same one.
      std::string name = (root == roots[0] ? "" : "given/" + root.filename().string() + "/") +
                         fs::relative(golden.folder, root).string() + "/" + golden.feature;
      for (char& c : name) {
        if (c == '/' || c == '.') c = '_';
      }
      master.add(boost::unit_test::make_test_case([golden] { run_golden(golden); }, name, __FILE__, __LINE__));
    }
  }
  return true;
}

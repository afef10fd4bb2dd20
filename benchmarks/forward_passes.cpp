// SPDX-License-Identifier: Apache-2.0
// What validation cannot do without: the file in ONNX Runtime and the definition in libtorch, both loaded, and run on
// the inputs of the default budget. Nothing is checked or compared.
#include <fmt/format.h>

#include <filesystem>
#include <thread>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "host/validation/inputs.hpp"
#include "registry/features_manager.hpp"
#include "registry/registry.hpp"

namespace {

using namespace onnxport;

std::vector<Tensors> inputs_of(const FeaturesManager& features, const std::string& feature,
                               const std::filesystem::path& checkpoint) {
  const Checkpoint opened = Checkpoint::open(checkpoint);
  const auto supported =
      features.check_supported_model_or_raise(opened.config().at("model_type").get<std::string>(), feature);
  const OnnxConfig config = OnnxConfig::from_folder(features.table_of(supported), {opened.config(), opened.folder()},
                                                    supported.model_type, supported.feature);
  const auto preprocessor = Preprocessor::from_folder(checkpoint);
  std::vector<Tensors> sets;
  const InputsOf of{config, opened.config(), preprocessor ? &*preprocessor : nullptr, ""};
  for (const InputSet& set : input_sets(of, ValidationBudget::normal)) sets.push_back(inputs_of(of, set));
  return sets;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    fmt::print(stderr, "usage: forward_passes CHECKPOINT FEATURE FILE.onnx\n");
    return 2;
  }
  const Registry registry = Registry::discover({});
  const FeaturesManager features(registry);
  const std::vector<Tensors> sets = inputs_of(features, argv[2], argv[1]);
  // Side by side, as validation does.
  std::thread runtime([&] {
    const auto file = load_backend("onnxruntime").load_file(argv[3]);
    for (const Tensors& inputs : sets) file->run(inputs);
  });
  const auto reference = features.get_model_from_feature(argv[2], argv[1]);
  for (const Tensors& inputs : sets) reference->run(inputs);
  runtime.join();
  return 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "forward_passes: {}\n", problem.what());
  return 1;
}

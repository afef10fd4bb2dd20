// SPDX-License-Identifier: Apache-2.0
// transformers.onnx's own steps in C++: features, config, export, validation.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/validate/validate.hpp"
#include "registry/features_manager.hpp"
#include "registry/loader.hpp"
#include "registry/registry.hpp"

using namespace onnxport;

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: export CHECKPOINT FEATURE FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[3];
  const Checkpoint checkpoint = Checkpoint::open(argv[1]);

  // Which plugin has this model type, and does it have the feature?
  const Registry registry = Registry::discover({});
  const FeaturesManager features(registry);
  const auto supported =
      features.check_supported_model_or_raise(checkpoint.config().at("model_type").get<std::string>(), argv[2]);

  // The onnx-config: what goes in, what comes out.
  const OnnxConfig config =
      OnnxConfig::from_folder(features.table_of(supported), {checkpoint.config(), checkpoint.folder()},
                              supported.model_type, supported.feature);
  for (const auto& [name, axes] : config.inputs()) {
    for (const auto& [axis, symbol] : axes) fmt::print("{} axis {}: {}\n", name, axis, symbol);
  }

  // The definition with the checkpoint's weights, and the files.
  WeightSource weights(checkpoint, supported.name_rules(checkpoint.config()));
  const Definition definition = config.define(weights);
  std::filesystem::create_directories(folder);
  const ExportResult result = export_onnx(config, definition, folder, {.opset = config.default_onnx_opset()});

  // The file by ONNX Runtime against the definition by libtorch, on the seed's dummy inputs and on varied ones.
  const auto preprocessor = Preprocessor::from_folder(argv[1]);
  const Preprocessor* tokenizer = preprocessor ? &*preprocessor : nullptr;
  const std::vector<ValidationInputs> inputs{
      {"dummy inputs", config.generate_dummy_inputs(tokenizer), {}},
      {"varied, padded",
       config.generate_dummy_inputs(tokenizer, {.batch_size = 3, .seq_length = 11, .varied = true}),
       {}},
  };
  const auto model = features.get_model_from_feature(argv[2], argv[1]);
  const auto file = load_backend("onnxruntime").load_file(result.files[0].path.string());
  check_model_file(result.files[0].path);
  const ValidationReport report =
      validate_model_outputs(model.get(), *file, inputs, {.absolute = config.atol_for_validation()});
  fmt::print("{}: largest difference {:.1e}, {}\n", result.files[0].path.filename().string(),
             report.largest_difference(), report.passes() ? "validated" : "differs");
  return report.passes() ? 0 : 1;
} catch (const Error& error) {
  std::cerr << error.what() << "\n  " << error.hint() << '\n';
  return static_cast<int>(error.failure());
}

// SPDX-License-Identifier: Apache-2.0
// transformers.onnx's own steps in a C++ program: features, config, export, validation.
#include <iostream>
#include <onnxport/library.hpp>

using namespace onnxport::library;

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " CHECKPOINT FEATURE OUTPUT\n";
    return 2;
  }
  const FeaturesManager features;
  const OnnxConfig config = features.check_supported_model_or_raise(argv[1], argv[2]);
  std::cout << config.model_type() << " can also be exported for:";
  for (const std::string& feature : features.get_supported_features_for_model_type(config.model_type()))
    std::cout << " " << feature;
  std::cout << "\n";
  for (const auto& [name, axes] : config.inputs()) {
    for (const auto& [axis, symbol] : axes) std::cout << name << " axis " << axis << ": " << symbol << "\n";
  }

  const Json written = export_onnx(config, argv[3]);
  for (const Json& file : written.at("files")) std::cout << file.at("path").get<std::string>() << "\n";

  const Json found = validate_model_outputs(config, argv[3]);
  std::cout << "validation: " << found.at("status").get<std::string>() << ", largest difference "
            << found.at("validation").at("largest_difference") << "\n";
  return found.at("status") == "ok" ? 0 : 1;
} catch (const Error& error) {
  std::cerr << "error: " << error.what() << "\n  " << error.hint() << "\n";
  return error.result();
}

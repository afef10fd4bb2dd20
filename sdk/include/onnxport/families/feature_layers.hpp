// SPDX-License-Identifier: Apache-2.0
// Of which of an encoder's layers a model around it reads the states: LLaVA's vision_feature_layer. Source:
// LlavaModel.get_image_features and its relatives', transformers 4.57 and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/config.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct FeatureLayers {
  int64_t otherwise;  ///< the layer, where config.json states none
  int64_t count;      ///< the encoder's layers
};
/// The encoder's steps that 'vision_feature_layer' names, one or several: its states are counted from 0, which is what
/// the first layer reads, or from the end: -1 is the last layer's, before any norm behind it. Throws CONFIG where it
/// has no such state.
inline std::vector<std::string> feature_layers(const Config& c, const FeatureLayers& of) {
  constexpr const char* field = "vision_feature_layer";
  const std::vector<int64_t> stated =
      c.is_list(field) ? c.integers(field) : std::vector<int64_t>{c.integer(field, of.otherwise)};
  std::vector<std::string> steps;
  for (const int64_t layer : stated) {
    const int64_t states = of.count + 1, index = layer < 0 ? layer + states : layer;
    if (index < 0 || index >= states) {
      throw Error(ONNXPORT_CONFIG, "config field 'vision_feature_layer' names " + std::to_string(layer) +
                                       "; the encoder of images has " + std::to_string(states) + " states");
    }
    steps.push_back("hidden_states." + std::to_string(index));
  }
  return steps;
}

}  // namespace onnxport::family

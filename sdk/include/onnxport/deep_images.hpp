// SPDX-License-Identifier: Apache-2.0
// Text decoders that were made to read images: positions of three axes, and vectors of images that are added between
// layers. Source: Qwen3VLTextModel, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// The input of what is added behind a layer.
inline std::string deepstack_features(int64_t layer) {
  return "deepstack_features." + std::to_string(layer);
}

/// A text decoder's inputs with positions of time, height and width, i64[3, batch, sequence], which are always given
/// and lie below `limit`.
inline std::vector<TensorSpec> with_three_axes(std::vector<TensorSpec> specs, int64_t limit) {
  std::erase_if(specs, [](const TensorSpec& spec) { return spec.name == "position_ids"; });
  specs.push_back(
      input::positions("position_ids", {3, axis::batch, axis::sequence}, {.of = "input_ids", .limit = limit}));
  return specs;
}
/// Throws UNSUPPORTED where the user wants such positions to be counted.
inline void require_given_positions(const Request& request) {
  if (request.options.text("position_ids", "input") == "input") return;
  throw Error(ONNXPORT_UNSUPPORTED, "positions of the model type '" + request.model_type +
                                        "' have three axes and are always an input; none can be counted");
}

/// What the layers of a decoder that is part of a larger model may be given of images: f[batch, sequence, hidden] each.
inline void offer_deepstack(Part& decoder, int64_t layers, int64_t hidden) {
  for (int64_t i = 0; i < layers; ++i)
    decoder.inputs.push_back(input::embeddings(deepstack_features(i), {axis::batch, axis::sequence, hidden}));
}
/// What LayerStack::behind asks for: x with what is given for that layer.
inline Value with_deepstack(const Inputs& in, int64_t layer, const Value& x) {
  const Value more = in.maybe(deepstack_features(layer));
  return more ? x + more : x;
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// What image models end in, beside a layer for the classes.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/layers.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::sdk {

struct ReconstructionOptions {
  int64_t channels;
  int64_t stride;  ///< pixels that an entry yields, on a side
};
/// Pixels of what an encoder made of an image: f[batch, n, rows, columns] -> f[batch, channels, rows·stride,
/// columns·stride]. Weights: 0.weight f[channels·stride², n, 1, 1], 0.bias. Source: decoder of
/// ViTForMaskedImageModeling and SwinForMaskedImageModeling, transformers 4.57.
inline Value reconstruction(const Scope& scope, const Operand& x, const ReconstructionOptions& options) {
  const Value pixels = conv2d(scope / 0, x, {.out = options.channels * options.stride * options.stride});
  return pixel_shuffle(pixels, options.stride);
}
/// The output of masked-im.
inline std::vector<OutputSpec> reconstruction_outputs() {
  return {{"reconstruction", {{0, axis::batch}}}};
}

struct PerceptronOptions {
  int64_t hidden, out;
  int64_t layers = 3;
};
/// Layers with a ReLU between them: f[..., n] -> f[..., out]. Weights: layers.{i}.weight, bias.
/// Source: DetrMLPPredictionHead and YolosMLPPredictionHead, transformers 4.57.
inline Value perceptron(const Scope& scope, Value x, const PerceptronOptions& options) {
  for (int64_t i = 0; i + 1 < options.layers; ++i) x = relu(linear(scope / "layers" / i, x, {.out = options.hidden}));
  return linear(scope / "layers" / (options.layers - 1), x, {.out = options.out});
}

}  // namespace onnxport::sdk

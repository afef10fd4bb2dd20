// SPDX-License-Identifier: Apache-2.0
// Whisper's encoder, which Voxtral kept. Source: WhisperEncoder and VoxtralEncoder, transformers 4.57 and 5.24.
#pragma once

#include <string>
#include <vector>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/families/bart.hpp>
#include <onnxport/onnx_config.hpp>

namespace whisper {

using namespace onnxport::sdk;

struct SpeechEncoder {
  int64_t mels, width, layers, positions;
  onnxport::family::BartLayer layer;

  /// Frames of a spectrogram, of which the second convolution takes every other one.
  int64_t frames() const { return 2 * positions; }
  /// A spectrogram of one length: recordings are padded or cut before.
  TensorSpec features() const { return input::features("input_features", {axis::batch, mels, frames()}); }

  struct Encoding {
    Value hidden;               // f32[batch, positions, width]
    std::vector<Value> layers;  // what each of the layers read, and that result
  };
  /// spectrogram: f32[batch, mels, frames]
  Encoding operator()(const Scope& s, const Value& spectrogram) const {
    const auto convolve = [&](const char* name, const Value& x, int64_t stride) {
      return conv_stem(s, x, Conv1dOptions{.out = width, .kernel = 3, .stride = stride, .padding = 1},
                       {.convolution = name, .activation = "gelu"});
    };
    Value x = transpose(convolve("conv2", convolve("conv1", spectrogram, 1), 2), {0, 2, 1}).in(s);
    x = x + (s / "embed_positions").weight("weight", {positions, width});
    Encoding made;
    const LayerStack stack{.count = layers,
                           .layer = [this](int64_t) { return bart_layer(layer); },
                           .steps = "encoder_",
                           .states = &made.layers};
    made.hidden = norm(s / "layer_norm", transformer_layers(s / "layers", x, stack, {}), {});
    made.layers.back() = made.hidden;
    s.graph().mark("encoder_hidden_states." + std::to_string(layers), made.hidden);
    return made;
  }
};

}  // namespace whisper

// SPDX-License-Identifier: Apache-2.0
// data2vec of speech: wav2vec 2.0 whose places are told by several convolutions in a row. Source: Data2VecAudioModel
// and its heads, transformers 4.57 (modeling_data2vec_audio.py).
#include <onnxport/families/wav2vec2.hpp>

using namespace onnxport::family;

namespace {

class Data2VecAudio final : public Wav2Vec2Transformer {
 public:
  explicit Data2VecAudio(const Request& request)
      : Wav2Vec2Transformer(request, {.adapts = true, .stable = false}, normed_everywhere(request.config)),
        convolutions(request.config.count("num_conv_pos_embeddings", 5)),
        kernel(request.config.size("conv_pos_kernel_size", 19)) {}

  std::string base_model_prefix() const override { return "data2vec_audio"; }

 private:
  static FrontEnd normed_everywhere(const Config& c) {
    FrontEnd front(c);
    front.by_layer = true;
    return front;
  }

  Value embed_places(const Scope& s, const Value& frames) const override {
    Value x = transpose(frames, {0, 2, 1});
    for (int64_t i = 0; i < convolutions; ++i) {
      const Conv1dOptions options{.out = c.hidden, .kernel = kernel, .padding = kernel / 2, .groups = places_.groups};
      x = conv1d(s / "layers" / i / "conv", x, options);
      if (kernel % 2 == 0) x = slice(x, {2, 0, -1});  // an even kernel leaves a frame too many
      x = transpose(norm(s / "layers" / i / "layer_norm", transpose(x, {0, 2, 1}), {.weight = false, .bias = false}),
                    {0, 2, 1});
      x = activation(x, front.activation);
    }
    return transpose(x, {0, 2, 1});
  }

  const int64_t convolutions, kernel;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.data2vec_audio",
    .name = "data2vec of speech",
    .models = {{.types = {"data2vec-audio"},
                .features = {"default", "ctc", "audio-classification", "audio-frame-classification", "audio-xvector"},
                .architectures = {{"Data2VecAudioForSequenceClassification", "audio-classification"}},
                .make = make<Data2VecAudio>}},
})

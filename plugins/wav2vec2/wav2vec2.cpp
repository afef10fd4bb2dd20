// SPDX-License-Identifier: Apache-2.0
// wav2vec 2.0, and MMS, whose layers have adapters for languages. Source: Wav2Vec2Model and its heads, transformers
// 4.57 (modeling_wav2vec2.py).
#include <onnxport/families/speech_codebook.hpp>
#include <onnxport/families/wav2vec2.hpp>

using namespace onnxport::family;

namespace {

class Wav2Vec2 final : public Wav2Vec2Transformer {
 public:
  explicit Wav2Vec2(const Request& request)
      : Wav2Vec2Transformer(request, {.adapts = true}),
        books(request.config),
        language(request.config.count("adapter_attn_dim", 0)) {}

  std::string base_model_prefix() const override { return "wav2vec2"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "pretraining" ? codebook_outputs() : Wav2Vec2Transformer::outputs();
  }

 private:
  // A language's own small layer, in models whose norms stand before the halves. Source: Wav2Vec2AttnAdapterLayer.
  Value behind_layer(const Scope& layer, const Value& x) const override {
    if (language == 0 || !stable) return x;
    const Scope s = layer / "adapter_layer";
    return residual(layer, x, {.norm = {}, .name = "adapter_layer.norm"}, [&](const Value& h) {
      return linear(s / "linear_2", relu(linear(s / "linear_1", h, {.out = language})), {.out = c.hidden});
    });
  }

  Outputs pretrain(const Scope& model, const AudioFeatures& made) const override {
    return predict_codebooks(model.graph().root(), made, books);
  }

  const Codebooks books;
  const int64_t language;  // how wide that layer is; 0: there is none
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.wav2vec2",
    .name = "wav2vec 2.0",
    .models = {{.types = {"wav2vec2"},
                .features = {"default", "ctc", "audio-classification", "audio-frame-classification", "audio-xvector",
                             "pretraining"},
                .architectures = {{"Wav2Vec2ForSequenceClassification", "audio-classification"},
                                  {"Wav2Vec2ForMaskedLM", "ctc"}},
                .make = make<Wav2Vec2>}},
})

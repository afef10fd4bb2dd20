// SPDX-License-Identifier: Apache-2.0
// wav2vec 2.0 with the layers of a Conformer, whose attention tells places. Source: Wav2Vec2ConformerModel and its
// heads, transformers 4.57 (modeling_wav2vec2_conformer.py).
#include <onnxport/families/conformer.hpp>
#include <onnxport/families/speech_codebook.hpp>
#include <onnxport/families/wav2vec2.hpp>

using namespace onnxport::family;

namespace {

class Wav2Vec2Conformer final : public Wav2Vec2Encoder {
 public:
  explicit Wav2Vec2Conformer(const Request& request)
      : Wav2Vec2Encoder(request, {.adapts = true, .defaults = {.vocab = {}}}, FrontEnd(request.config)),
        form{.hidden = c.hidden,
             .heads = c.heads,
             .inner = c.inner,
             .activation = c.activation,
             .places = conformer_places(request.config, "relative", false),
             .kernel = conformer_kernel(request.config)},
        rotary(request.config, form.head_size(),
               RotaryFields{.theta = request.config.real("rotary_embedding_base", 10000)}),
        books(request.config) {
    // Of a convolution that the class has, and does not run.
    request.config.no_effect({"num_conv_pos_embeddings", "num_conv_pos_embedding_groups"});
  }

  std::string base_model_prefix() const override { return "wav2vec2_conformer"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "pretraining" ? codebook_outputs() : Wav2Vec2Encoder::outputs();
  }

 private:
  Value run(const Scope& encoder, const Frames& frames, std::vector<Value>& kept) const override {
    encoder.graph().unused((encoder / "pos_conv_embed.*").path());
    encoder.graph().unused((encoder / "embed_positions.*").path());
    ConformerGiven given = conformer_given(encoder, size_of(frames.hidden, 1), form, rotary);
    given.mask = frames.mask;
    Value x = run_layers(c.layers, without_padding(frames), kept, [&](int64_t i, const Value& h) {
      given.probabilities = "attentions." + std::to_string(i);
      return conformer_layer(encoder / "layers" / i, h, form, given);
    });
    x = norm(encoder / "layer_norm", x, c.norm());
    if (c.yields_normed) kept.back() = x;
    return x;
  }

  Outputs pretrain(const Scope& model, const AudioFeatures& made) const override {
    return predict_codebooks(model.graph().root(), made, books);
  }

  const ConformerLayer form;
  const Rotary rotary;
  const Codebooks books;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.wav2vec2_conformer",
    .name = "wav2vec 2.0 Conformer",
    .models = {{.types = {"wav2vec2-conformer"},
                .features = {"default", "ctc", "audio-classification", "audio-frame-classification", "audio-xvector",
                             "pretraining"},
                .architectures = {{"Wav2Vec2ConformerForSequenceClassification", "audio-classification"}},
                .make = make<Wav2Vec2Conformer>}},
})

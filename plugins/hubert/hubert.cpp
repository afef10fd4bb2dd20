// SPDX-License-Identifier: Apache-2.0
// HuBERT: wav2vec 2.0 that was trained to predict clusters. Source: HubertModel and its heads, transformers 4.57
// (modeling_hubert.py).
#include <onnxport/families/wav2vec2.hpp>

using namespace onnxport::family;

namespace {

class Hubert final : public Wav2Vec2Transformer {
 public:
  explicit Hubert(const Request& request)
      : Wav2Vec2Transformer(request), norms_frames(request.config.boolean("feat_proj_layer_norm", true)) {
    places_.normed_input = request.config.boolean("conv_pos_batch_norm", false);
  }
  std::string base_model_prefix() const override { return "hubert"; }

 private:
  Projected project(const Scope& model, const Value& frames) const override {
    const Scope s = model / "feature_projection";
    const Value x = norms_frames ? norm(s / "layer_norm", frames, c.norm()) : frames;
    return {linear(s / "projection", x, {.out = c.hidden})};
  }

  const bool norms_frames;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.hubert",
    .name = "HuBERT",
    .models = {{.types = {"hubert"},
                .features = {"default", "ctc", "audio-classification"},
                .architectures = {{"HubertForSequenceClassification", "audio-classification"}},
                .make = make<Hubert>}},
})

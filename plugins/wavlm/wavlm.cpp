// SPDX-License-Identifier: Apache-2.0
// WavLM: wav2vec 2.0 whose attention knows how far apart frames stand, by a bias that each frame opens and closes.
// Source: WavLMModel and its heads, transformers 4.57 (modeling_wavlm.py).
#include <onnxport/families/speech_codebook.hpp>
#include <onnxport/families/wav2vec2.hpp>
#include <onnxport/relative_bias.hpp>

using namespace onnxport::family;

namespace {

class WavLM final : public Wav2Vec2Transformer {
 public:
  explicit WavLM(const Request& request)
      : Wav2Vec2Transformer(request, {.adapts = true}),
        distances{.buckets = request.config.size("num_buckets", 320),
                  .max_distance = request.config.size("max_bucket_distance", 800),
                  .heads = c.heads} {
    const Codebooks unread(request.config);  // no class of the reference has them
    request.config.no_effect({"num_ctc_classes"});
  }

  std::string base_model_prefix() const override { return "wavlm"; }

 private:
  // The first layer has the table of distances for all.
  TransformerLayer layer(const Scope& layers, const Value& x) const override {
    TransformerLayer form = Wav2Vec2Transformer::layer(layers, x);
    const Scope first = layers / 0 / "attention";
    const Value table = transpose((first / "rel_attn_embed").weight("weight", {distances.buckets, c.heads}), {1, 0});
    const Value each = range(size_of(x, 1)).in(first);
    const Value bias = bias_of_distances(table, unsqueeze(each, {0}) - unsqueeze(each, {1}), distances,
                                         {"num_buckets", "max_bucket_distance"});
    form.own_attention = [block = form.attention, bias](const Scope& s, const Value& h, const Attended& given) {
      Attended rest = given;
      rest.bias = gate(s, h, block) * unsqueeze(bias, {0});
      return attend(s, h, block, rest);
    };
    return form;
  }

  // How far each frame opens the bias in every head: f[batch, frames, hidden] -> f[batch, heads, frames, 1].
  static Value gate(const Scope& s, const Value& x, const AttentionBlock& block) {
    const Value made = linear(s / "gru_rel_pos_linear", split_heads(x.in(s), block.heads), {.out = 8});
    const std::vector<Value> gates = split(sigmoid(sum(reshape(made, {0, 0, 0, 2, 4}), {-1})), -1, {1, 1});
    return gates[0] * (gates[1] * s.weight("gru_rel_pos_const", {1, block.heads, 1, 1}) - 1.0) + 2.0;
  }

  const RelativeBias distances;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.wavlm",
    .name = "WavLM",
    .models = {{.types = {"wavlm"},
                .features = {"default", "ctc", "audio-classification", "audio-frame-classification", "audio-xvector"},
                .architectures = {{"WavLMForSequenceClassification", "audio-classification"}},
                .make = make<WavLM>}},
})

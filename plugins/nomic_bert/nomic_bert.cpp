// SPDX-License-Identifier: Apache-2.0
// Nomic BERT: BERT with rotary positions, gated feed-forwards and, in version 2, experts. Source: NomicBertModel and
// its heads, transformers 5.24 (modeling_nomic_bert.py); and modeling_hf_nomic_bert.py, the code that checkpoints bring
// along.
#include "published.hpp"

using namespace nomic;

namespace {

/// Below these names the file has the class's own weights; transformers writes the published ones.
const RotaryBertNames own_names{};

/// The class of transformers.
class NomicBertOnnxConfig final : public TextEncoder {
 public:
  explicit NomicBertOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, defaults,
             Rotary(request.config, RotaryBert::head_size_of(request.config, defaults),
                    RotaryFields{.theta = request.config.real("rope_theta", 1000)})) {}

 private:
  static constexpr RotaryBertDefaults defaults{.vocab = 30528, .segments = 2, .activation = "silu", .head_dim = true};

  TextEncoderTraits traits() const override {
    return {.base = "nomic_bert", .vocab = bert.vocab, .segments = bert.segments, .pooler = false};
  }

  Value encode(const Scope& s, const Text& text) const override {
    const bool is_own = (s / "layers.0.mlp.gate_proj").has("weight");
    const RotaryBertNames& names = is_own ? own_names : published_names;
    TransformerLayer layer = bert.layer(names, false);
    name_gated(layer.feed_forward, is_own);
    return bert.encode(s / names.layers, bert.embed(s, text, names), text, [layer](int64_t) { return layer; });
  }

  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.at = "cls.predictions",
                                   .head = {.names = {.dense = "transform.dense", .norm = "transform.layer_norm"},
                                            .width = bert.hidden,
                                            .vocab = bert.vocab,
                                            .activation = bert.activation,
                                            .epsilon = bert.epsilon,
                                            .own_bias = bert.tied.unless_saved},
                                   .tied = bert.tied},
            .summary = [this](const Encoded& at) { return bert.pool(at.base / "pooler", at.hidden); }};
  }

  const RotaryBert bert;
};

/// Published configs have the fields of GPT-2.
std::unique_ptr<OnnxConfig> make_nomic(const Request& request) {
  if (request.config.has("n_embd")) return make<PublishedNomicBert>(request);
  return make<NomicBertOnnxConfig>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.nomic_bert",
    .name = "Nomic BERT",
    .models = {{.types = {"nomic_bert"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification"},
                .make = make_nomic}},
})

// SPDX-License-Identifier: Apache-2.0
// ESM C: a language model of proteins, pre-norm with rotary positions, whose queries and keys are normed over all heads
// at once. Source: EsmcModel and its heads, transformers 5.24 (modeling_esmc.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

struct EsmcConfig {
  explicit EsmcConfig(const Config& c)
      : vocab(c.size("vocab_size", 64)),
        hidden(c.size("hidden_size", 2560)),
        inner(c.size("intermediate_size", 6912)),
        layers(c.count("num_hidden_layers", 80)),
        heads(c.size("num_attention_heads", 40)),
        head_size(c.size("head_dim", hidden / heads)),
        activation(c.text("hidden_act", "silu")),
        attention_bias(c.boolean("attention_bias", false)),
        mlp_bias(c.boolean("mlp_bias", false)),
        rotary(c, head_size) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_equal({"num_key_value_heads", c.size("num_key_value_heads", heads)}, {"num_attention_heads", heads});
    // The norms of queries and keys are as wide as the model.
    require_equal({"head_dim", head_size}, {"hidden_size / num_attention_heads", hidden / heads});
    c.no_effect({"mask_token_id", "tie_word_embeddings"});
  }
  int64_t vocab, hidden, inner, layers, heads, head_size;
  std::string activation;
  bool attention_bias, mlp_bias;
  Rotary rotary;
};

class EsmcOnnxConfig final : public TextEncoder {
 public:
  explicit EsmcOnnxConfig(const Request& request) : TextEncoder(request), c(request.config) {}

 private:
  TextEncoderTraits traits() const override { return {.base = "esmc", .vocab = c.vocab, .pooler = false}; }

  Value encode(const Scope& s, const Text& text) const override {
    const Value x = embedding(s / "embed_tokens", text.ids, {c.vocab, c.hidden});
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    const Value y = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                                       {.mask = text.mask, .angles = c.rotary.angles(positions)});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", y, {.bias = false}));
  }

  // The deeper the model, the less a layer adds.
  TransformerLayer layer() const {
    const bool bias = c.attention_bias;
    const double share = 1 / std::sqrt(static_cast<double>(c.layers) / 36);
    return {.attention = {.heads = c.heads,
                          .head_size = c.head_size,
                          .projections = {.bias = {bias, bias, bias, bias}},
                          .query_key_norm = QueryKeyNorm{.norm = {.bias = false}, .per_head = false}},
            .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj", .bias = c.mlp_bias},
            .attention_branch = {.name = "input_layernorm", .scale = share},
            .feed_forward_branch = {.name = "post_attention_layernorm", .scale = share}};
  }

  // A protein's class is read at its first token, <cls>.
  TextHeads text_heads() const override {
    return {.masked_lm =
                WordsHead{
                    .at = "lm_head",
                    .head = {.names = {.bias = {"decoder.bias"}}, .width = c.hidden, .vocab = c.vocab, .epsilon = 1e-5},
                    .tied = false},
            .classes =
                [this](const Encoded& at) {
                  const Scope head = at.base.graph().root() / "classifier";
                  return text_classifier(head, pick(at.hidden, 1, 0), c.hidden, labels());
                },
            .classifier = "score"};
  }

  const EsmcConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.esmc",
    .name = "ESM C",
    .models = {{.types = {"esmc"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification"},
                .make = make<EsmcOnnxConfig>}},
})

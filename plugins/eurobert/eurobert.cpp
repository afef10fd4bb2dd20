// SPDX-License-Identifier: Apache-2.0
// EuroBERT: Llama's layers, read in both directions. Source: EuroBertModel and its heads, transformers 5.24
// (modeling_eurobert.py), and the code that the first checkpoints bring along, whose config says clf_pooling.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

struct EuroBertConfig {
  explicit EuroBertConfig(const Config& c)
      : vocab(c.size("vocab_size", 128256)),
        hidden(c.size("hidden_size", 768)),
        inner(c.size("intermediate_size", 3072)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", hidden / heads)),
        activation(c.text("hidden_act", "silu")),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        attention_bias(c.boolean("attention_bias", false)),
        mlp_bias(c.boolean("mlp_bias", false)),
        pooling(c.choice("classifier_pooling", "late", {"bos", "mean", "late"})),
        tied(c.tie(false)),
        rotary(c, head_size) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"pretraining_tp", "mask_token_id", "mask_token", "bos_token", "eos_token", "pad_token"});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size;
  std::string activation;
  Norm norm;
  bool attention_bias, mlp_bias;
  std::string pooling;
  Tie tied;
  Rotary rotary;
};

class EuroBertOnnxConfig final : public TextEncoder {
 public:
  explicit EuroBertOnnxConfig(const Request& request)
      : TextEncoder(request), c(request.config.with_names({{"classifier_pooling", "clf_pooling"}})) {}

 private:
  TextEncoderTraits traits() const override { return {.base = "model", .vocab = c.vocab, .pooler = false}; }

  Value encode(const Scope& s, const Text& text) const override {
    if (c.tied) s.graph().stand_in(s / "embed_tokens", s.graph().root() / "lm_head");
    const Value x = embedding(s / "embed_tokens", text.ids, {c.vocab, c.hidden});
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    const Value y = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                                       {.mask = text.mask, .angles = c.rotary.angles(positions)});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", y, c.norm));
  }

  TransformerLayer layer() const {
    const bool bias = c.attention_bias;
    return {.attention = {.heads = c.heads,
                          .kv_heads = c.kv_heads,
                          .head_size = c.head_size,
                          .projections = {.bias = {bias, bias, bias, bias}}},
            .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj", .bias = c.mlp_bias},
            .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
            .feed_forward_branch = {.norm = c.norm, .name = "post_attention_layernorm"}};
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words(at); },
            .classes = [this](const Encoded& at) { return classes(at); }};
  }

  Value words(const Encoded& at) const {
    const TiedLinear lm_head{at.base.graph().root() / "lm_head", at.base / "embed_tokens", c.tied};
    return linear(lm_head, at.hidden, {.out = c.vocab, .bias = c.mlp_bias});
  }

  // A text's class: of its first token, of the mean of its tokens, or the mean of what each of them says.
  Value classes(const Encoded& at) const {
    const Scope root = at.base.graph().root();
    const auto scores = [&](const Value& x) {
      const Value h = activation(linear(root / "dense", x, {.out = c.hidden}), "gelu");
      return linear(root / "classifier", h, {.out = labels()});
    };
    if (c.pooling == "late") return mean_of_tokens(scores(at.hidden), at.mask);
    return scores(c.pooling == "mean" ? mean_of_tokens(at.hidden, at.mask) : pick(at.hidden, 1, 0));
  }

  const EuroBertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.eurobert",
    .name = "EuroBERT",
    .models = {{.types = {"eurobert"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification"},
                .make = make<EuroBertOnnxConfig>}},
})

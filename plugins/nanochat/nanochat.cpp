// SPDX-License-Identifier: Apache-2.0
// NanoChat. Source: NanoChatModel and its head, transformers 5.24 (modeling_nanochat.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

struct NanoChatConfig {
  explicit NanoChatConfig(const Config& c)
      : vocab(c.size("vocab_size", 50304)),
        hidden(c.size("hidden_size", 768)),
        inner(c.size("intermediate_size", 8192)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 6)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "relu2")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6), .weight = false},
        bias(c.boolean("attention_bias", false)),
        causal(c.boolean("is_causal", true)),
        word_cap(c.real("final_logit_softcapping", c.is_null("final_logit_softcapping") ? 0 : 15)),
        tied(c.tie(false)),
        rotary(c, head_size) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm rms;  // none has a weight
  bool bias, causal;
  double word_cap;  // 0: none
  Tie tied;
  Rotary rotary;
};

class NanoChatOnnxConfig final : public RotaryDecoder {
 public:
  explicit NanoChatOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("nanochat", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_softcap = c.word_cap,
            .classes = "",
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    const Angles forward = angles(s, in), backward{forward.cos, -forward.sin};
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    x = norm(s / "norm", x, c.rms);
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .angles = backward, .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  TransformerLayer layer() const {
    return {.attention = {.heads = c.heads,
                          .kv_heads = c.kv_heads,
                          .head_size = c.head_size,
                          .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                          // Behind the turn, by which YaRN scales what is normed.
                          .query_key_norm = QueryKeyNorm{.norm = c.rms, .turned = true},
                          .causal = c.causal},
            .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2"},
            .attention_branch = {.norm = c.rms, .name = "input_layernorm"},
            .feed_forward_branch = {.norm = c.rms, .name = "post_attention_layernorm"}};
  }

  const NanoChatConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.nanochat",
    .name = "NanoChat",
    .models = {{.types = {"nanochat"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<NanoChatOnnxConfig>}},
})

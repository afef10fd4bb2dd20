// SPDX-License-Identifier: Apache-2.0
// BitNet b1.58, as it is trained: ternary weights are a way to store it. Source: BitNetModel and its head,
// transformers 4.57 and 5.24 (modeling_bitnet.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

struct BitNetConfig {
  explicit BitNetConfig(const Config& c)
      : vocab(c.size("vocab_size", 128256)),
        hidden(c.size("hidden_size", 2560)),
        inner(c.size("intermediate_size", 6912)),
        layers(c.count("num_hidden_layers", 30)),
        heads(c.size("num_attention_heads", 20)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 5)),
        head_size(std::max<int64_t>(1, hidden / heads)),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "relu2")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        bias(c.boolean("attention_bias", false)),
        causal(c.boolean("is_causal", true)),
        tied(c.tie(false)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", 500'000), .partial = c.real("partial_rotary_factor", 1)}) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    // The norm of what is attended to is as wide as the model, and so all heads together must be.
    require_equal({"head_dim", c.size("head_dim", head_size)}, {"hidden_size / num_attention_heads", head_size});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm rms;
  bool bias, causal;
  Tie tied;
  Rotary rotary;
};

class BitNetOnnxConfig final : public RotaryDecoder {
 public:
  explicit BitNetOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("bitnet", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .max_positions = c.positions, .tied = c.tied, .classes = "", .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    const Angles of_text = angles(s, in);
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Attended given{.mask = in.at("attention_mask"),
                           .angles = of_text,
                           .cache = &cache,
                           .layer = i,
                           .probabilities = "attentions." + std::to_string(i)};
      const Scope layer = s / "layers" / i;
      x = residual(layer, x, {.norm = c.rms, .name = "input_layernorm"},
                   [&](const Value& h) { return attends(layer / "self_attn", h, given); });
      x = residual(layer, x, {.norm = c.rms, .name = "post_attention_layernorm"},
                   [&](const Value& h) { return feeds(layer / "mlp", h); });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  /// Whatever the last layer of a half reads is normed, so that few bits hold it.
  Value attends(const Scope& s, const Value& h, const Attended& given) const {
    const AttentionBlock block{.heads = c.heads,
                               .kv_heads = c.kv_heads,
                               .head_size = c.head_size,
                               .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                               .causal = c.causal};
    const Value mixed = mix(s, project(s, h, block), block, given);
    return linear(s / "o_proj", norm(s / "attn_sub_norm", mixed, c.rms), {.out = c.hidden, .bias = c.bias});
  }
  Value feeds(const Scope& s, const Value& h) const {
    const auto widen = [&](const char* name) { return linear(s / name, h, {.out = c.inner, .bias = false}); };
    const Value gated = activation(s, widen("gate_proj"), c.activation) * widen("up_proj");
    return linear(s / "down_proj", norm(s / "ffn_sub_norm", gated, c.rms), {.out = c.hidden, .bias = false});
  }

  const BitNetConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bitnet",
    .name = "BitNet",
    .models = {{.types = {"bitnet"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .known_gaps = {{.option = "quantization_config.quant_method=\"bitnet\"",
                                .reason = "packed ternary weights are not unpacked, nor are plain ones rounded"}},
                .make = make<BitNetOnnxConfig>}},
})

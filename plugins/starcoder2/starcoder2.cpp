// SPDX-License-Identifier: Apache-2.0
// StarCoder2. Source: Starcoder2Model and its heads, transformers 4.57 and 5.24 (modeling_starcoder2.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

struct Starcoder2Config {
  explicit Starcoder2Config(const Config& c)
      : vocab(c.size("vocab_size", 49152)),
        hidden(c.size("hidden_size", 3072)),
        inner(c.size("intermediate_size", 12288)),
        layers(c.count("num_hidden_layers", 30)),
        heads(c.size("num_attention_heads", 24)),
        kv_heads(c.size("num_key_value_heads", 2)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 4096)),
        activation(c.text("hidden_act", "gelu_pytorch_tanh")),
        epsilon(c.real("norm_epsilon", 1e-5)),
        bias(c.boolean("use_bias", true)),
        window(c.has("sliding_window") ? c.size("sliding_window") : 0),
        tied(c.tie(true)),
        rotary(c, head_size),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    // Of the code that it was first published with.
    c.no_effect({"mlp_type", "norm_type", "layer_norm_epsilon", "scale_attn_weights", "attention_softmax_in_fp32",
                 "scale_attention_softmax_in_fp32"});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  double epsilon;
  bool bias;
  int64_t window;  // in keys; 0: none
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class Starcoder2OnnxConfig final : public RotaryDecoder {
 public:
  explicit Starcoder2OnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("starcoder2", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .max_positions = c.positions, .tied = c.tied, .labels = c.labels, .pad = c.pad};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    return {
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                      .causal = true,
                      .window = c.window},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "c_fc", .down = "c_proj", .bias = c.bias},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "input_layernorm"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "post_attention_layernorm"}};
  }

  const Starcoder2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.starcoder2",
    .name = "StarCoder2",
    .models = {{.types = {"starcoder2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<Starcoder2OnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// StableLM. Source: StableLmModel and its heads, transformers 4.57 and 5.24 (modeling_stablelm.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct StableLmConfig {
  explicit StableLmConfig(const Config& c)
      : vocab(c.size("vocab_size", 50304)),
        hidden(c.size("hidden_size", 2560)),
        inner(c.size("intermediate_size", 6912)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", 32)),
        positions(c.size("max_position_embeddings", 4096)),
        activation(c.text("hidden_act", "silu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        qkv_bias(c.boolean("use_qkv_bias", false)),
        query_key_norm(c.boolean("qk_layernorm", false)),
        parallel(c.boolean("use_parallel_residual", false)),
        tied(c.tie(false)),
        rotary(c, std::max<int64_t>(1, hidden / heads),
               RotaryFields{.theta = c.real("rope_theta", 10000.0), .partial = c.real("partial_rotary_factor", 0.25)}),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, positions;
  std::string activation;
  double epsilon;
  bool qkv_bias, query_key_norm, parallel;
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class StableLmOnnxConfig final : public RotaryDecoder {
 public:
  explicit StableLmOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

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
    TransformerLayer form{.attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = head_size(),
                                        .projections = {.bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, false}},
                                        .causal = true},
                          .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj"},
                          .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = {.epsilon = c.epsilon},
                                                  .name = c.parallel ? "input_layernorm" : "post_attention_layernorm"},
                          .parallel = c.parallel};
    if (c.query_key_norm) {
      form.attention.query_key_norm = {
          .norm = {.epsilon = c.epsilon}, .query = "q_layernorm", .key = "k_layernorm", .each = "norms"};
    }
    return form;
  }

  const StableLmConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.stablelm",
    .name = "StableLM",
    .models = {{.types = {"stablelm"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<StableLmOnnxConfig>}},
})

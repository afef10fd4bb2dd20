// SPDX-License-Identifier: Apache-2.0
// Phi-1, Phi-1.5 and Phi-2. Source: PhiModel and its heads, transformers 4.57 and 5.24 (modeling_phi.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

struct PhiConfig {
  explicit PhiConfig(const Config& c)
      : vocab(c.size("vocab_size", 51200)),
        hidden(c.size("hidden_size", 2048)),
        inner(c.size("intermediate_size", 8192)),
        layers(c.count("num_hidden_layers", 24)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "gelu_new")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        query_key_norm(c.boolean("qk_layernorm", false)),
        tied(c.tie(false)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", 10000.0), .partial = c.real("partial_rotary_factor", 0.5)}),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"resid_pdrop", "embd_pdrop"});  // of training
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  double epsilon;
  bool query_key_norm;
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class PhiOnnxConfig final : public RotaryDecoder {
 public:
  explicit PhiOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return is_usual_cache("phi", {c.hidden, c.heads, c.kv_heads, c.head_size}); }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_bias = true,
            .labels = c.labels,
            .pad = c.pad};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layernorm", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    TransformerLayer form{
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.output = "dense", .bias = all_biased},
                      .causal = true},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "input_layernorm"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "input_layernorm"},
        .parallel = true};
    if (c.query_key_norm) {
      form.attention.query_key_norm = {.norm = {.epsilon = c.epsilon}, .query = "q_layernorm", .key = "k_layernorm"};
    }
    return form;
  }

  const PhiConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.phi",
    .name = "Phi",
    .models = {{.types = {"phi"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<PhiOnnxConfig>}},
})

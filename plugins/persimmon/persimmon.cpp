// SPDX-License-Identifier: Apache-2.0
// Persimmon. Source: PersimmonModel and its heads, transformers 4.57 and 5.24 (modeling_persimmon.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct PersimmonConfig {
  explicit PersimmonConfig(const Config& c)
      : vocab(c.size("vocab_size", 262144)),
        hidden(c.size("hidden_size", 4096)),
        inner(c.size("intermediate_size", 16384)),
        layers(c.count("num_hidden_layers", 36)),
        heads(c.size("num_attention_heads", 64)),
        positions(c.size("max_position_embeddings", 16384)),
        activation(c.text("hidden_act", "relu2")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        query_key_norm(c.boolean("qk_layernorm", true)),
        causal(c.boolean("is_causal", true)),
        tied(c.tie(false)),
        rotary(c, std::max<int64_t>(1, hidden / heads),
               RotaryFields{.theta = c.real("rope_theta", c.written_before(5, 0) ? 25000 : 10000),
                            .partial = c.real("partial_rotary_factor", 0.5)}),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    c.no_effect({"hidden_dropout", "num_key_value_heads"});  // every head has keys and values of its own
  }
  int64_t vocab, hidden, inner, layers, heads, positions;
  std::string activation;
  double epsilon;
  bool query_key_norm, causal;
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class PersimmonOnnxConfig final : public RotaryDecoder {
 public:
  explicit PersimmonOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
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
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layernorm", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    TransformerLayer form{.attention = {.heads = c.heads,
                                        .head_size = head_size(),
                                        .projections = {.packing = Projections::Packing::groups,
                                                        .fused = "query_key_value",
                                                        .output = "dense",
                                                        .bias = all_biased},
                                        .causal = c.causal},
                          .feed_forward = {.inner = c.inner,
                                           .activation = c.activation,
                                           .up = "dense_h_to_4h",
                                           .down = "dense_4h_to_h",
                                           .bias = true},
                          .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "post_attention_layernorm"}};
    if (c.query_key_norm)
      form.attention.query_key_norm = {.norm = {.epsilon = c.epsilon}, .query = "q_layernorm", .key = "k_layernorm"};
    return form;
  }

  const PersimmonConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.persimmon",
    .name = "Persimmon",
    .models = {{.types = {"persimmon"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<PersimmonOnnxConfig>}},
})

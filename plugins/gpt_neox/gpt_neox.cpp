// SPDX-License-Identifier: Apache-2.0
// GPT-NeoX and Pythia. Source: GPTNeoXModel and its heads, transformers 4.57 and 5.24 (modeling_gpt_neox.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct GptNeoXConfig {
  explicit GptNeoXConfig(const Config& c)
      : vocab(c.size("vocab_size", 50432)),
        hidden(c.size("hidden_size", 6144)),
        inner(c.size("intermediate_size", 24576)),
        layers(c.count("num_hidden_layers", 44)),
        heads(c.size("num_attention_heads", 64)),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        bias(c.boolean("attention_bias", true)),
        parallel(c.boolean("use_parallel_residual", true)),
        tied(c.tie(false)),
        rotary(c, std::max<int64_t>(1, hidden / heads),
               RotaryFields{.theta = c.real("rotary_emb_base", 10000.0), .partial = c.real("rotary_pct", 0.25)}),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    c.no_effect({"rope_theta", "partial_rotary_factor"});  // copies of the two above, which rule
  }
  int64_t vocab, hidden, inner, layers, heads, positions;
  std::string activation;
  double epsilon;
  bool bias, parallel;
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class GptNeoXOnnxConfig final : public RotaryDecoder {
 public:
  explicit GptNeoXOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.base = "gpt_neox",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "embed_in",
            .tied = c.tied,
            .words = "embed_out",
            .words_also = "lm_head",
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*.attention.bias");  // the causal mask, which older releases saved
    g.unused("*.attention.masked_bias");
    Value x = embedding(s / "embed_in", in.at("input_ids"), {c.vocab, c.hidden});
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layer_norm", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .attention = {.heads = c.heads,
                          .head_size = head_size(),
                          .projections = {.packing = Projections::Packing::groups,
                                          .fused = "query_key_value",
                                          .output = "dense",
                                          .bias = {c.bias, c.bias, c.bias, c.bias}},
                          .causal = true},
            .feed_forward = {.inner = c.inner,
                             .activation = c.activation,
                             .up = "dense_h_to_4h",
                             .down = "dense_4h_to_h",
                             .bias = true},
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "input_layernorm"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "post_attention_layernorm"},
            .parallel = c.parallel};
  }

  const GptNeoXConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt_neox",
    .name = "GPT-NeoX",
    .models = {{.types = {"gpt_neox"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<GptNeoXOnnxConfig>}},
})

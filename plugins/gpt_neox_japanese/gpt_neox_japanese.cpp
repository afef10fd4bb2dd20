// SPDX-License-Identifier: Apache-2.0
// GPT-NeoX-Japanese. Source: GPTNeoXJapaneseModel and its head, transformers 4.57 and 5.24
// (modeling_gpt_neox_japanese.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct GptNeoXJapaneseConfig {
  explicit GptNeoXJapaneseConfig(const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 2560)),
        inner(static_cast<int64_t>(static_cast<double>(hidden) * c.real("intermediate_multiple_size", 4))),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "gelu")),
        norm{.epsilon = c.real("layer_norm_eps", 1e-5)},
        tied(c.tie(true)),
        rotary(c, std::max<int64_t>(1, hidden / heads),
               RotaryFields{.theta = c.real("rotary_emb_base", 10000), .partial = c.real("rotary_pct", 1)}) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    c.no_effect({"rope_theta", "partial_rotary_factor"});  // copies of the two above, which rule
    c.no_effect({"intermediate_size"});                    // GPT-NeoX's
  }
  int64_t vocab, hidden, inner, layers, heads, positions;
  std::string activation;
  Norm norm;
  Tie tied;
  Rotary rotary;
};

class GptNeoXJapaneseOnnxConfig final : public RotaryDecoder {
 public:
  explicit GptNeoXJapaneseOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.base = "gpt_neox_japanese",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "embed_in",
            .tied = c.tied,
            .words = "embed_out",
            .classes = "",
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*.attention.bias");  // the causal mask, which older releases saved
    g.unused("*.attention.masked_bias");
    Value x = embedding(s / "embed_in", in.at("input_ids"), {c.vocab, c.hidden});
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t i) { return layer(i); }},
                           {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layer_norm", x, c.norm));
  }

  // The last layer's attention has the only bias.
  TransformerLayer layer(int64_t index) const {
    return {
        .attention_at = "attention",
        .attention = {.heads = c.heads,
                      .head_size = head_size(),
                      .projections = {.packing = Projections::Packing::groups,
                                      .fused = "query_key_value",
                                      .output = "dense",
                                      .output_bias = index == c.layers - 1 ? "dense_bias" : ""},
                      .causal = true},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "dense_h_to_4h", .down = "dense_4h_to_h"},
        .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
        .feed_forward_branch = {.norm = c.norm, .name = "post_attention_layernorm"}};
  }

  const GptNeoXJapaneseConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt_neox_japanese",
    .name = "GPT-NeoX-Japanese",
    .models = {{.types = {"gpt_neox_japanese"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<GptNeoXJapaneseOnnxConfig>}},
})

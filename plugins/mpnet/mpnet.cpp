// SPDX-License-Identifier: Apache-2.0
// MPNet: BERT without segments, whose attention knows how far apart two tokens are. Source: MPNetModel and its heads,
// transformers 4.57 (modeling_mpnet.py).
#include <onnxport/families/roberta.hpp>
#include <onnxport/relative_bias.hpp>

using namespace onnxport::family;

namespace {

// The model computes with these, whatever its config says.
constexpr int64_t padding = 1, buckets = 32, max_distance = 128;

struct MPNetConfig {
  explicit MPNetConfig(const Config& c)
      : vocab(c.size("vocab_size", 30527)),
        hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(c.size("intermediate_size", 3072)),
        max_positions(c.size("max_position_embeddings", 512)),
        rows(c.size("relative_attention_num_buckets", buckets)),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        activation(c.text("hidden_act", "gelu")),
        is_decoder(c.boolean("is_decoder", false)),
        tied(c.tie(true)) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    // Fewer rows than buckets serve texts whose distances do not reach further; half of them are for keys before.
    if (rows <= buckets / 2) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'relative_attention_num_buckets' is " + std::to_string(rows) +
                                            "; the model reads up to " + std::to_string(buckets) + " of them");
    }
    c.integer("type_vocab_size", 0);  // written by the reference, and not used
  }
  int64_t vocab, hidden, layers, heads, inner, max_positions, rows;
  double epsilon;
  std::string activation;
  bool is_decoder;
  Tie tied;
};

class MPNetOnnxConfig final : public TextEncoder {
 public:
  explicit MPNetOnnxConfig(const Request& request) : TextEncoder(request), c(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "mpnet", .vocab = c.vocab, .max_positions = c.max_positions - 1 - padding};
  }

  Value embed(const Scope& s, const Value& ids) const {
    const Value positions = positions_past_padding(ids, padding);
    const Value x = embedding(s / "word_embeddings", ids, {c.vocab, c.hidden}) +
                    embedding(s / "position_embeddings", positions, {c.max_positions, c.hidden});
    return norm(s / "LayerNorm", x, {.epsilon = c.epsilon});
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Value places = range(size_of(text.ids, 1));
    const Value distances =
        relative_bias(s / "encoder.relative_attention_bias", places, places,
                      {.buckets = buckets, .max_distance = max_distance, .heads = c.heads, .rows = c.rows});
    const Value x =
        transformer_layers(s / "encoder.layer", embed(s / "embeddings", text.ids),
                           {c.layers, [this](int64_t) { return layer(); }}, {.mask = text.mask, .bias = distances});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), x);
  }

  TransformerLayer layer() const {
    return {.attention_at = "attention.attn",
            .feed_forward_at = "",
            .attention = {.heads = c.heads,
                          .head_size = c.hidden / c.heads,
                          .projections = {.query = "q", .key = "k", .value = "v", .output = "o", .bias = all_biased},
                          .causal = c.is_decoder},
            .feed_forward = {.inner = c.inner,
                             .activation = c.activation,
                             .up = "intermediate.dense",
                             .down = "output.dense",
                             .bias = true},
            .attention_branch = {Placement::after, {.epsilon = c.epsilon}, "attention.LayerNorm"},
            .feed_forward_branch = {Placement::after, {.epsilon = c.epsilon}, "output.LayerNorm"}};
  }

  Value pool(const Scope& s, const Value& hidden) const override {
    return tanh(linear(s / "pooler.dense", pick(hidden, 1, 0), {.out = c.hidden}));
  }

  // Before version 5 the bias beside the layer counts, as in BERT.
  TextHeads text_heads() const override {
    return RobertaHeads{c.hidden, c.vocab, c.epsilon, c.tied, labels(), c.tied.unless_saved}.rows();
  }

  const MPNetConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mpnet",
    .name = "MPNet",
    .models = {{.types = {"mpnet"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<MPNetOnnxConfig>}},
})

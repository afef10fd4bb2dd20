// SPDX-License-Identifier: Apache-2.0
// DistilBERT: half of BERT's layers, without segments and pooler. Source: DistilBertModel and its heads, transformers
// 4.30 (modeling_distilbert.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

constexpr double epsilon = 1e-12;  // of every norm; the config has no field for it

constexpr std::initializer_list<std::pair<const char*, const char*>> names{
    {"dim", "hidden_size"}, {"n_heads", "num_attention_heads"}, {"n_layers", "num_hidden_layers"}};

struct DistilBertConfig {
  explicit DistilBertConfig(const Config& c)
      : vocab(c.size("vocab_size", 30522)),
        dim(c.size("dim", 768)),
        layers(c.count("n_layers", 6)),
        heads(c.size("n_heads", 12)),
        inner(c.size("hidden_dim", 4 * 768)),
        max_positions(c.size("max_position_embeddings", 512)),
        activation(c.text("activation", "gelu")),
        tied(c.tie(true)) {
    require_multiple({"dim", dim}, {"n_heads", heads});
    c.boolean("sinusoidal_pos_embds", false);  // either way the checkpoint holds the table
  }
  int64_t vocab, dim, layers, heads, inner, max_positions;
  std::string activation;
  Tie tied;
};

class DistilBertOnnxConfig final : public TextEncoder {
 public:
  explicit DistilBertOnnxConfig(const Request& request) : TextEncoder(request), c(request.config.with_names(names)) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "distilbert", .vocab = c.vocab, .pooler = false, .max_positions = c.max_positions};
  }

  Value embed(const Scope& s, const Value& ids) const {
    const Value positions = (s / "position_embeddings").weight("weight", {c.max_positions, c.dim});
    const Value x = embedding(s / "word_embeddings", ids, {c.vocab, c.dim}) + first_rows(positions, size_of(ids, 1));
    return norm(s / "LayerNorm", x, {.epsilon = epsilon});
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Value x = transformer_layers(s / "transformer.layer", embed(s / "embeddings", text.ids),
                                       {c.layers, [this](int64_t) { return layer(); }}, {.mask = text.mask});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), x);
  }

  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .feed_forward_at = "ffn",
            .attention = {.heads = c.heads,
                          .head_size = c.dim / c.heads,
                          .projections = {.query = "q_lin",
                                          .key = "k_lin",
                                          .value = "v_lin",
                                          .output = "out_lin",
                                          .bias = all_biased}},
            .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "lin1", .down = "lin2", .bias = true},
            .attention_branch = {Placement::after, {.epsilon = epsilon}, "sa_layer_norm"},
            .feed_forward_branch = {Placement::after, {.epsilon = epsilon}, "output_layer_norm"}};
  }

  // A text's vector is its first token through a layer of the heads' own.
  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.head = {.names = {.dense = "vocab_transform",
                                                      .norm = "vocab_layer_norm",
                                                      .decoder = "vocab_projector",
                                                      .bias = {"vocab_projector.bias"}},
                                            .width = c.dim,
                                            .vocab = c.vocab,
                                            .activation = c.activation,
                                            .epsilon = epsilon},
                                   .tied = c.tied},
            .summary = [this](const Encoded& at) {
              return relu(linear(at.base.graph().root() / "pre_classifier", pick(at.hidden, 1, 0), {.out = c.dim}));
            }};
  }

  const DistilBertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.distilbert",
    .name = "DistilBERT",
    .models = {{.types = {"distilbert"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<DistilBertOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// What BERT shares with the models that kept its modules and changed what they are fed or trained for.
// Source: BertModel, transformers 4.30 (modeling_bert.py).
#pragma once

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Scores of queries (and keys) against an embedding of their distance. Source: BertSelfAttention of 4.30,
/// position_embedding_type.
struct RelativePositions {
  std::string type;  // absolute, relative_key, relative_key_query
  int64_t heads, max_positions;

  explicit operator bool() const { return type != "absolute"; }

  /// q, k: f32[batch, sequence, heads·d] -> f32[batch, heads, sequence, sequence], not scaled.
  Value operator()(const Scope& attention, const Value& q, const Value& k) const {
    Graph& g = attention.graph();
    const int64_t width = q.fixed(-1) / heads;
    const Value position = range(size_of(q.in(attention), 1));
    const Value distance = unsqueeze(position, {1}) - unsqueeze(position, {0}) + g.integer(max_positions - 1);
    const Value table = embedding(attention / "distance_embedding", distance, {2 * max_positions - 1, width});
    Value scores = einsum("bhld,lrd->bhlr", {split_heads(q.in(attention), heads), table});
    if (type == "relative_key_query")
      scores = scores + einsum("bhrd,lrd->bhlr", {split_heads(k.in(attention), heads), table});
    return scores;
  }
};

/// Where a config class departs from BERT's defaults.
struct BertDefaults {
  int64_t vocab = 30522, hidden = 768, heads = 12, inner = 3072;
  const char* activation = "gelu";
  bool relative = true;  // whether the class knows position_embedding_type
};

/// BERT between its inputs and its heads.
struct BertEncoder {
  explicit BertEncoder(const Config& c, const BertDefaults& defaults = {})
      : vocab(c.size("vocab_size", defaults.vocab)),
        hidden(c.size("hidden_size", defaults.hidden)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", defaults.heads)),
        inner(c.size("intermediate_size", defaults.inner)),
        max_positions(c.size("max_position_embeddings", 512)),
        segments(c.size("type_vocab_size", 2)),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        activation(c.text("hidden_act", defaults.activation)),
        relative{position_type(c, defaults), heads, max_positions},
        is_decoder(c.boolean("is_decoder", false)),
        tied(c.tie(true)) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
  }

  struct Embedded {
    Value ids;
    Value segments{};    // absent: all tokens are of the first segment
    Value positions{};   // absent: 0, 1, …
    int64_t width = 0;   // 0: the hidden size
    bool placed = true;  // false: positions are told elsewhere
    double scale = 1;    // of the words
  };
  /// Words, segments and positions, summed and normalised: f32[batch, sequence, width].
  Value embed(const Scope& s, const Embedded& in) const {
    const int64_t width = in.width > 0 ? in.width : hidden;
    Value x = embedding(s / "word_embeddings", in.ids, {vocab, width});
    if (in.scale != 1) x = x * in.scale;
    if (in.segments) {
      x = x + embedding(s / "token_type_embeddings", in.segments, {segments, width});
    } else {
      x = x + pick((s / "token_type_embeddings").weight("weight", {segments, width}), 0, 0);
    }
    if (!relative && in.placed) {
      const Scope positions = s / "position_embeddings";
      x = x + (in.positions ? embedding(positions, in.positions, {max_positions, width})
                            : first_rows(positions.weight("weight", {max_positions, width}), size_of(in.ids, 1)));
    }
    return norm(s / "LayerNorm", x, {.epsilon = epsilon});
  }

  /// A layer with BERT's names, which normalises behind each sum.
  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .feed_forward_at = "",
            .attention = {.heads = heads,
                          .head_size = hidden / heads,
                          .projections = {.query = "self.query",
                                          .key = "self.key",
                                          .value = "self.value",
                                          .output = "output.dense",
                                          .bias = all_biased},
                          .causal = is_decoder},
            .feed_forward = {.inner = inner,
                             .activation = activation,
                             .up = "intermediate.dense",
                             .down = "output.dense",
                             .bias = true},
            .attention_branch = {Placement::after, {.epsilon = epsilon}, "attention.output.LayerNorm"},
            .feed_forward_branch = {Placement::after, {.epsilon = epsilon}, "output.LayerNorm"}};
  }

  /// The layers: x: f32[batch, sequence, hidden] -> the same.
  Value encode(const Scope& s, const Value& x, const Text& text) const {
    Attended given{.mask = text.mask};
    if (relative) {
      given.scores = [this](const Scope& attention, const QueryKeyValue& made) {
        return relative(attention / "self", made.query, made.key) / std::sqrt(static_cast<double>(hidden / heads));
      };
    }
    const Value y = transformer_layers(s / "layer", x, {layers, [this](int64_t) { return layer(); }}, given);
    return s.graph().mark("hidden_states." + std::to_string(layers), y);
  }

  /// The first token through a tanh layer: f32[batch, hidden].
  Value pool(const Scope& s, const Value& x) const { return tanh(linear(s / "dense", pick(x, 1, 0), {.out = hidden})); }

  int64_t vocab, hidden, layers, heads, inner, max_positions, segments;
  double epsilon;
  std::string activation;
  RelativePositions relative;
  bool is_decoder;
  Tie tied;

 private:
  static std::string position_type(const Config& c, const BertDefaults& defaults) {
    if (defaults.relative)
      return c.choice("position_embedding_type", "absolute", {"absolute", "relative_key", "relative_key_query"});
    c.no_effect({"position_embedding_type"});
    return "absolute";
  }
};

}  // namespace onnxport::family

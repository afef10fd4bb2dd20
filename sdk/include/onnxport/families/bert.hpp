// SPDX-License-Identifier: Apache-2.0
// What BERT shares with the models that kept its modules and changed what they are fed or trained for.
// Source: BertModel, transformers 4.30 (modeling_bert.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

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
  int64_t vocab = 30522, hidden = 768, layers = 12, heads = 12, inner = 3072, max_positions = 512, segments = 2;
  double epsilon = 1e-12;
  const char* activation = "gelu";
  bool relative = true;  ///< whether scores may go by distance; false: position_embedding_type is not read here
};

/// BERT between its inputs and its heads.
struct BertEncoder {
  explicit BertEncoder(const Config& c, const BertDefaults& defaults = {})
      : vocab(c.size("vocab_size", defaults.vocab)),
        hidden(c.size("hidden_size", defaults.hidden)),
        layers(c.count("num_hidden_layers", defaults.layers)),
        heads(c.size("num_attention_heads", defaults.heads)),
        inner(c.size("intermediate_size", defaults.inner)),
        max_positions(c.size("max_position_embeddings", defaults.max_positions)),
        segments(c.size("type_vocab_size", defaults.segments)),
        epsilon(c.real("layer_norm_eps", defaults.epsilon)),
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
    int64_t first = 0;   // so many rows of the table stand before the first position's, beside max_positions
    /// What a model adds to these, f32[batch, sequence, width] each: places on a page, a task.
    std::vector<Value> further{};
  };
  /// Words, segments, positions and what is further given, summed and normalised: f32[batch, sequence, width].
  Value embed(const Scope& s, const Embedded& in) const {
    return norm(s / "LayerNorm", embedded_sum(s, in), {.epsilon = epsilon});
  }
  /// The same before it is normalised.
  Value embedded_sum(const Scope& s, const Embedded& in) const {
    const int64_t width = in.width > 0 ? in.width : hidden;
    Value x = embedding(s / "word_embeddings", in.ids, {vocab, width});
    if (in.scale != 1) x = x * in.scale;
    if (in.segments) {
      x = x + embedding(s / "token_type_embeddings", in.segments, {segments, width});
    } else {
      x = x + pick((s / "token_type_embeddings").weight("weight", {segments, width}), 0, 0);
    }
    if (relative) s.graph().unused("*.position_embeddings.*");  // which the class makes and does not use
    if (!relative && in.placed) {
      const Scope positions = s / "position_embeddings";
      const int64_t rows = in.first + max_positions;
      const auto from_first = [&] {
        const Value table = positions.weight("weight", {rows, width});
        return in.first == 0 ? table : slice(table, {0, in.first});
      };
      x = x + (in.positions ? embedding(positions, in.positions, {rows, width})
                            : first_rows(from_first(), size_of(in.ids, 1)));
    }
    for (const Value& more : in.further) x = x + more;
    return x.in(s);
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

  /// What an attention is given of a text, with the scores of distances where the config has them.
  Attended attended(const Text& text) const {
    Attended given{.mask = text.mask};
    if (relative) {
      given.scores = [this](const Scope& attention, const QueryKeyValue& made) {
        return relative(attention / "self", made.query, made.key) / std::sqrt(static_cast<double>(hidden / heads));
      };
    }
    return given;
  }

  /// BERT's layers arranged or fed in a way of their own.
  struct Layers {
    TransformerLayer layer;
    Attended given;
    std::string last_norm{};  ///< the name of a norm behind them
  };
  /// The layers: x: f32[batch, sequence, hidden] -> the same.
  Value encode(const Scope& s, const Value& x, const Text& text) const {
    return encode(s, x, Layers{layer(), attended(text)});
  }
  Value encode(const Scope& s, const Value& x, const Layers& how) const {
    Value y = transformer_layers(s / "layer", x, {layers, [&](int64_t) { return how.layer; }}, how.given);
    if (!how.last_norm.empty()) y = norm(s / how.last_norm, y, {.epsilon = epsilon});
    return last_step(y);
  }
  /// Names what the encoder yields as a step.
  Value last_step(const Value& x) const { return x.graph().mark("hidden_states." + std::to_string(layers), x); }

  /// The first token through a tanh layer: f32[batch, hidden].
  Value pool(const Scope& s, const Value& x) const { return tanh(linear(s / "dense", pick(x, 1, 0), {.out = hidden})); }

  /// The masked-lm head with BERT's names.
  WordsHead words() const {
    return {.at = "cls.predictions",
            .head = {.names = {.dense = "transform.dense", .norm = "transform.LayerNorm"},
                     .width = hidden,
                     .vocab = vocab,
                     .activation = activation,
                     .epsilon = epsilon,
                     .own_bias = tied.unless_saved},
            .tied = tied};
  }

  int64_t vocab, hidden, layers, heads, inner, max_positions, segments;
  double epsilon;
  std::string activation;
  RelativePositions relative;
  bool is_decoder;
  Tie tied;

 private:
  /// Since version 5 positions are absolute, whatever a file has kept of its earlier life.
  static std::string position_type(const Config& c, const BertDefaults& defaults) {
    c.no_effect({"position_embedding_type"});
    if (!defaults.relative) return "absolute";
    const std::string type =
        c.choice("position_embedding_type", "absolute", {"absolute", "relative_key", "relative_key_query"});
    return c.written_since(5, 0) ? "absolute" : type;
  }
};

/// BERT with its heads, from which a model departs by what it overrides.
class BertTextEncoder : public TextEncoder {
 public:
  /// `base` is the base model's name within the models with a head.
  BertTextEncoder(const Request& request, std::string base, const BertDefaults& defaults = {})
      : TextEncoder(request), bert(request.config, defaults), base_(std::move(base)) {}

 protected:
  TextEncoderTraits traits() const override {
    return {.base = base_, .vocab = bert.vocab, .segments = bert.segments, .max_positions = bert.max_positions};
  }

  Value encode(const Scope& s, const Text& text) const override {
    return bert.encode(s / "encoder", embed(s / "embeddings", text), text);
  }
  virtual Value embed(const Scope& s, const Text& text) const {
    return bert.embed(s, {.ids = text.ids, .segments = text.segments});
  }

  Value pool(const Scope& s, const Value& hidden) const override { return bert.pool(s / "pooler", hidden); }

  TextHeads text_heads() const override { return {.masked_lm = bert.words(), .pair = PairHead{}}; }

  const BertEncoder bert;

 private:
  std::string base_;
};

}  // namespace onnxport::family

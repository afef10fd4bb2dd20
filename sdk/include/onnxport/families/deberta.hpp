// SPDX-License-Identifier: Apache-2.0
// What DeBERTa and DeBERTa-v2 share: embeddings, the frame of a layer, and the heads. Source: DebertaModel and
// DebertaV2Model, transformers 4.57, and 4.30 where older checkpoints depend on it.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/families/deberta_layer.hpp>

namespace onnxport::family {

/// Where the config classes differ.
struct DebertaDefaults {
  int64_t vocab, hidden, layers, heads, inner;
};

struct DebertaConfig {
  DebertaConfig(const Config& c, const DebertaDefaults& defaults)
      : vocab(c.size("vocab_size", defaults.vocab)),
        hidden(c.size("hidden_size", defaults.hidden)),
        embedded(c.size("embedding_size", hidden)),
        layers(c.count("num_hidden_layers", defaults.layers)),
        heads(c.size("num_attention_heads", defaults.heads)),
        inner(c.size("intermediate_size", defaults.inner)),
        max_positions(c.size("max_position_embeddings", 512)),
        segments(c.count("type_vocab_size", 0)),
        epsilon(c.real("layer_norm_eps", 1e-7)),
        activation(c.text("hidden_act", "gelu")),
        positions(c.boolean("position_biased_input", true)),
        relative(c.boolean("relative_attention", false)),
        max_distance(c.integer("max_relative_positions", -1)),
        attention_types(words_of(c, "pos_att_type")),
        pooled(c.size("pooler_hidden_size", hidden)),
        pooler_activation(c.text("pooler_hidden_act", "gelu")),
        legacy(c.boolean("legacy", true)),
        tied(c.tie(true)),
        zero_padding(c.written_before(4, 48)) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (!legacy) require_equal({"embedding_size", embedded}, {"hidden_size", hidden});
    if (max_distance < 1) max_distance = max_positions;
    c.no_effect({"pooler_dropout", "cls_dropout"});
  }
  bool attends_by(std::string_view type) const {
    return std::find(attention_types.begin(), attention_types.end(), type) != attention_types.end();
  }

  int64_t vocab, hidden, embedded, layers, heads, inner, max_positions, segments;
  double epsilon;
  std::string activation;
  bool positions, relative;
  int64_t max_distance;
  std::vector<std::string> attention_types;
  int64_t pooled;  ///< what the pooler is made for, which has to be hidden_size where there is one
  std::string pooler_activation;
  bool legacy;
  Tie tied;
  /// What a padded place attends to: before 4.48 nothing, since then all places alike.
  bool zero_padding;
};

/// DeBERTa between its inputs and its heads; how queries, keys and values are made and what scores distances is the
/// version's own.
class DebertaEncoder : public TextEncoder {
 public:
  DebertaEncoder(const Request& request, const DebertaDefaults& defaults)
      : TextEncoder(request), c(request.config, defaults) {}

 protected:
  /// As of DebertaLayer.
  virtual DistanceAttending attending(const Scope& self, const Value& x, const Value& positions) const = 0;
  /// The learnt vectors of distances, f[2·span, hidden], as a layer takes them.
  virtual Value distance_vectors(const Scope& encoder) const = 0;
  virtual DistanceBuckets buckets() const { return {.span = c.max_distance}; }
  /// How many terms the scores have, by which they are scaled.
  virtual int64_t terms() const = 0;
  int64_t head_size() const { return c.hidden / c.heads; }
  /// What comes behind the first layer: `embedded` is what it was given, `x` what it yields.
  virtual Value behind_first(const Scope&, const Value& /*embedded*/, const Value& x, const Text&) const { return x; }

  TextEncoderTraits traits() const override {
    return {.base = "deberta",
            .vocab = c.vocab,
            .segments = c.segments,
            .pooler = false,
            .max_positions = c.positions ? c.max_positions : 0};
  }

  Value embed(const Scope& s, const Text& text) const {
    s.graph().unused((s / "position_embeddings.*").path());
    Value x = embedding(s / "word_embeddings", text.ids, {c.vocab, c.embedded});
    if (c.positions) {
      const Value table = (s / "position_embeddings").weight("weight", {c.max_positions, c.embedded});
      x = x + first_rows(table, size_of(text.ids, 1));
    }
    if (text.segments) x = x + embedding(s / "token_type_embeddings", text.segments, {c.segments, c.embedded});
    if (c.embedded != c.hidden) x = linear(s / "embed_proj", x, {.out = c.hidden, .bias = false});
    return norm(s / "LayerNorm", x, {.epsilon = c.epsilon}) * counts(text, x);
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    const Value embedded = embed(s / "embeddings", text);
    const Scope encoder = s / "encoder";
    DebertaGiven given{.positions = c.relative ? distance_vectors(encoder) : Value()};
    if (c.relative) given.rows = distance_rows(size_of(text.ids, 1), buckets());
    if (c.zero_padding) given.counts = counts(text, embedded);
    // A padded query sees no key more than another.
    const Value keys = attention_mask(text.mask);
    given.hidden = g.op("Min", {keys, transpose(keys, {0, 1, 3, 2})}).in(encoder);

    const DebertaLayer layer{.hidden = c.hidden,
                             .heads = c.heads,
                             .inner = c.inner,
                             .activation = c.activation,
                             .epsilon = c.epsilon,
                             .terms = terms(),
                             .attending = [this](const Scope& self, const Value& x, const Value& positions) {
                               return attending(self, x, positions);
                             }};
    Value x = embedded;
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      given.probabilities = "attentions." + std::to_string(i);
      x = deberta_layer(encoder / "layer" / i, x, layer, given);
      if (i == 0) x = behind_first(encoder, embedded, x, text);
    }
    return g.mark("hidden_states." + std::to_string(c.layers), x);
  }

  TextHeads text_heads() const override {
    const auto pooled = [this](const Encoded& at) {
      require_equal({"pooler_hidden_size", c.pooled}, {"hidden_size", c.hidden});
      const Value x = linear(at.base.graph().root() / "pooler.dense", pick(at.hidden, 1, 0), {.out = c.hidden});
      return activation(x, c.pooler_activation);
    };
    return {.masked_lm = c.legacy ? legacy_words() : words(), .summary = pooled};
  }

  const DebertaConfig c;

 private:
  static Value counts(const Text& text, const Value& like) { return unsqueeze(cast(text.mask, like.dtype()), {2}); }

  WordsHead legacy_words() const {
    return {.at = "cls.predictions",
            .head = {.names = {.dense = "transform.dense", .norm = "transform.LayerNorm"},
                     .width = c.embedded,
                     .vocab = c.vocab,
                     .activation = c.activation,
                     .epsilon = c.epsilon},
            .tied = c.tied};
  }
  /// The head of the first releases: always with the embedding's table.
  WordsHead words() const {
    return {.at = "lm_predictions.lm_head",
            .head = {.names = {.norm = "LayerNorm", .bias = {"bias"}},
                     .width = c.hidden,
                     .vocab = c.vocab,
                     .activation = c.activation,
                     .epsilon = c.epsilon}};
  }
};

}  // namespace onnxport::family

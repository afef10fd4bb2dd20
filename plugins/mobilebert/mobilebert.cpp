// SPDX-License-Identifier: Apache-2.0
// MobileBERT: BERT whose layers are narrower than what runs between them. Source: MobileBertModel and its heads,
// transformers 4.57 (modeling_mobilebert.py).
#include <onnxport/families/bert.hpp>
#include <onnxport/resampling.hpp>

using namespace onnxport::family;

namespace {

constexpr double norm_default = 1e-5;  // of torch.nn.LayerNorm, where the reference gives none

struct MobileBertConfig {
  MobileBertConfig(const Config& c, const BertEncoder& bert)
      : embedded(c.size("embedding_size", 128)),
        trigrams(c.boolean("trigram_input", true)),
        bottlenecks(c.boolean("use_bottleneck", true)),
        width(bottlenecks ? c.size("intra_bottleneck_size", 128) : bert.hidden),
        for_attention(c.boolean("use_bottleneck_attention", false)),
        shared(c.boolean("key_query_shared_bottleneck", true)),
        feed_forwards(c.size("num_feedforward_networks", 4)),
        normalises(c.choice("normalization_type", "no_norm", {"no_norm", "layer_norm"}) == "layer_norm"),
        pooler_activates(c.boolean("classifier_activation", true)) {
    require_multiple({"intra_bottleneck_size", width}, {"num_attention_heads", bert.heads});
    require_at_most({"embedding_size", embedded}, {"hidden_size", bert.hidden});
    c.no_effect({"true_hidden_size", "intra_bottleneck_size"});  // follow from the others, or are not used
  }
  int64_t embedded;
  bool trigrams, bottlenecks;
  int64_t width;               // within a layer
  bool for_attention, shared;  // what queries, keys and values are made of: one bottleneck, one for queries and keys
  int64_t feed_forwards;
  bool normalises;  // false: norms scale and shift only
  bool pooler_activates;
};

class MobileBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit MobileBertOnnxConfig(const Request& request)
      : BertTextEncoder(request, "mobilebert",
                        {.hidden = 512, .layers = 24, .heads = 4, .inner = 512, .activation = "relu"}),
        c(request.config, bert) {}

 private:
  Value normed(const Scope& s, const Value& x, double epsilon) const {
    if (c.normalises) return norm(s, x, {.epsilon = epsilon});
    const int64_t n = x.fixed(-1);
    return (x.in(s)*s.weight("weight", {n}) + s.weight("bias", {n})).in(s.parent());
  }
  Value normed(const Scope& s, const Value& x) const { return normed(s, x, bert.epsilon); }

  Value embed(const Scope& s, const Text& text) const override {
    Value words = embedding(s / "word_embeddings", text.ids, {bert.vocab, c.embedded});
    if (c.trigrams) {
      const Value around = pad(words, {{1, 1, 1}});
      words = concat({slice(around, {1, 2}), words, slice(around, {1, 0, -2})}, 2);
    }
    if (c.trigrams || c.embedded != bert.hidden)
      words = linear(s / "embedding_transformation", words, {.out = bert.hidden});
    const Value positions = (s / "position_embeddings").weight("weight", {bert.max_positions, bert.hidden});
    const Value x = words + first_rows(positions, size_of(text.ids, 1)) +
                    embedding(s / "token_type_embeddings", text.segments_or_first(), {bert.segments, bert.hidden});
    return normed(s / "LayerNorm", x, norm_default);
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    either_table_kept(bert.words(), s);
    Value x = embed(s / "embeddings", text);
    for (int64_t i = 0; i < bert.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      x = layer(s / "encoder.layer" / i, x, {.mask = text.mask, .probabilities = "attentions." + std::to_string(i)});
    }
    return bert.last_step(x);
  }

  Value layer(const Scope& s, const Value& x, const Attended& given) const {
    Value h = attend(s, x, given);
    for (int64_t i = 0; i + 1 < c.feed_forwards; ++i) h = feed(s / "ffn" / i, h, bert.epsilon);
    h = feed(s, h, norm_default);
    if (!c.bottlenecks) return h;
    const Scope out = s / "output.bottleneck";
    return normed(out / "LayerNorm", linear(out / "dense", h, {.out = bert.hidden}) + x).in(s);
  }

  Value feed(const Scope& s, const Value& x, double epsilon) const {
    const FeedForward form{.inner = bert.inner,
                           .activation = bert.activation,
                           .up = "intermediate.dense",
                           .down = "output.dense",
                           .bias = true};
    return normed(s / "output.LayerNorm", feed_forward(s, x, form) + x, epsilon).in(s);
  }

  // What an attention reads, each through a bottleneck or as it is.
  struct Read {
    Value query_key, value, added;
  };
  Read narrow(const Scope& s, const Value& x) const {
    if (!c.bottlenecks) return {x, x, x};
    const auto through = [&](const char* name) {
      const Scope at = s / name;
      return normed(at / "LayerNorm", linear(at / "dense", x, {.out = c.width}));
    };
    const Value input = through("input");
    if (c.for_attention) {
      s.graph().unused("*.bottleneck.attention.*");
      return {input, input, input};
    }
    return {c.shared ? through("attention") : x, x, input};
  }

  Value attend(const Scope& s, const Value& x, const Attended& given) const {
    const Read read = narrow(s / "bottleneck", x);
    const Scope self = s / "attention.self", out = s / "attention.output";
    const AttentionBlock block{.heads = bert.heads, .head_size = c.width / bert.heads};
    const LinearOptions to_width{.out = c.width};
    const Value mixed =
        mix(self,
            {linear(self / "query", read.query_key, to_width), linear(self / "key", read.query_key, to_width),
             linear(self / "value", read.value, to_width)},
            block, given);
    return normed(out / "LayerNorm", linear(out / "dense", mixed, to_width) + read.added).in(s);
  }

  Value pool(const Scope& s, const Value& hidden) const override {
    return c.pooler_activates ? bert.pool(s / "pooler", hidden) : pick(hidden, 1, 0);
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words(at); }, .pair = PairHead{}};
  }

  // The leading dimensions are scored by the embedding's table, the others by one of the head's own.
  Value words(const Encoded& at) const {
    WordsHead form = bert.words();
    const Scope s = at.base.graph().root() / form.at, own = s / form.head.names.decoder;
    if (form.tied.holds_for(own)) form.head.tied = at.base / form.table;
    Value x = activation(linear(s / form.head.names.dense, at.hidden, {.out = bert.hidden}), bert.activation);
    x = norm(s / form.head.names.norm, x, {.epsilon = bert.epsilon});
    if (form.head.tied) s.graph().unused((own / "weight").path());
    const Value table = form.head.tied.value_or(own).weight("weight", {bert.vocab, c.embedded});
    const Value bias = words_bias(s, form.head);
    if (c.embedded == bert.hidden) return own.composite("Linear", {x, table, bias}).in(s);
    const auto [first, others] = split_at(x, c.embedded);
    const Value more = (s / "dense").weight("weight", {bert.hidden - c.embedded, bert.vocab});
    return own.composite("Linear", {first, table, bias}).in(s) + matmul(others, more);
  }

  const MobileBertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mobilebert",
    .name = "MobileBERT",
    .models = {{.types = {"mobilebert"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering", "pretraining", "next-sentence-prediction"},
                .make = make<MobileBertOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// XLNet: Transformer-XL that sees in both directions. Source: XLNetModel and its heads, transformers 4.30 and 5.24
// (modeling_xlnet.py).
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/relative_shift.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sequence_summary.hpp>
#include <onnxport/span_search.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"vocab_size", "n_token"},
                                                                           {"d_model", "hidden_size"},
                                                                           {"n_head", "num_attention_heads"},
                                                                           {"n_layer", "num_hidden_layers"}};

struct XLNetConfig {
  explicit XLNetConfig(const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("d_model", 1024)),
        layers(c.count("n_layer", 24)),
        heads(c.size("n_head", 16)),
        inner(c.size("d_inner", 4096)),
        activation(c.text("ff_activation", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        causal(c.choice("attn_type", "bi", {"bi", "uni"}) == "uni"),
        same_length(c.boolean("same_length", false)),
        both_ways(c.boolean("bi_data", false)),
        farthest(c.integer("clamp_len", -1)),
        kept(c.count("mem_len", 512)),
        reused(c.count("reuse_len", 0)),
        tied(c.tie(true)),
        summary(c, {.type = "last", .to_labels = false, .activation = "tanh"}),
        search(c, epsilon) {
    require_multiple({"d_model", hidden}, {"n_head", heads});
    require_multiple({"d_model", hidden}, {"2, as positions are sines and cosines", 2});
    require_equal({"d_head", c.size("d_head", head_size())}, {"d_model / n_head", head_size()});
    c.no_effect({"untie_r", "use_mems_eval", "use_mems_train", "summary_last_dropout", "summary_first_dropout"});
  }
  int64_t head_size() const { return hidden / heads; }

  int64_t vocab, hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  bool causal, same_length;
  bool both_ways;        // the second half of a batch is read backwards
  int64_t farthest;      // distances beyond count as this one; not above 0: all differ
  int64_t kept, reused;  // of what a layer is given, for a next segment; 0: all
  Tie tied;
  SequenceSummary summary;
  SpanSearch search;
};

class XLNetOnnxConfig final : public TextEncoder {
 public:
  explicit XLNetOnnxConfig(const Request& request) : TextEncoder(request), c(request.config.with_names(names)) {
    if (task() == "sequence-classification" || task() == "multiple-choice")
      c.summary.require_vectors(labels(), c.hidden);
  }

  std::vector<OutputSpec> outputs() const override {
    return task() == span_search_feature ? SpanSearch::outputs() : TextEncoder::outputs();
  }
  std::vector<AxisSize> axis_sizes() const override {
    return task() == span_search_feature ? c.search.axis_sizes() : TextEncoder::axis_sizes();
  }

 private:
  // Segments are compared alone; the tokenizer has one for each text, one for <cls>, for <sep> and for padding.
  TextEncoderTraits traits() const override {
    return {.base = "transformer", .vocab = c.vocab, .segments = 5, .pooler = false};
  }

  /// What all layers are given.
  struct Shared {
    Spread spread;
    Value positions;      // f32[1 or batch, distances, hidden]
    Value other_segment;  // f32[batch, 1, n, n]: 1 where a key is of another segment than its query
    Value hidden;         // f32[batch, 1, 1 or n, n]: added to scores
  };

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    g.unused((s / "mask_emb").path());  // of the second stream, which predicts permuted words in training
    const Value length = size_of(text.ids, 1), places = range(length);
    const Value types = text.segments_or_first();
    const Value key = unsqueeze(types, {1, 2}), query = unsqueeze(types, {1, 3});
    const Spread spread{length, length};
    const Value same = equal(unsqueeze(places, {1}), unsqueeze(places, {0}));
    const Shared shared{.spread = spread,
                        .positions = positions(spread, text.ids),
                        .other_segment = cast(logical_not(equal(query, key)), DType::f32),
                        // A token sees itself, be it padding.
                        .hidden = mask(text) * cast(logical_not(same), DType::f32)};

    if (c.tied) g.stand_in(s / "word_embedding", g.root() / "lm_loss");
    Value x = embedding(s / "word_embedding", text.ids, {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      keep(i, x);
      x = layer(s / "layer" / i, x, shared, "attentions." + std::to_string(i));
    }
    return g.mark("hidden_states." + std::to_string(c.layers), x);
  }

  Value mask(const Text& text) const {
    if (!c.causal) return attention_mask(text.mask);
    // Of the same length for all, a query sees as many keys as the first one: itself.
    return attention_mask(text.mask, {.causal_for = text.ids, .window = c.same_length ? 1 : 0});
  }

  // Sines, then cosines, of every distance.
  Value positions(const Spread& spread, const Value& ids) const {
    Graph& g = ids.graph();
    std::vector<float> frequencies;
    for (int64_t i = 0; i < c.hidden; i += 2)
      frequencies.push_back(1 / std::pow(10000.0f, static_cast<float>(i) / static_cast<float>(c.hidden)));
    Value distance = cast(distances(spread), DType::f32);
    const auto bound = static_cast<double>(c.farthest);
    if (c.farthest > 0) distance = g.op("Clip", {distance}, {{"min", -bound}, {"max", bound}});
    const Value turns = unsqueeze(distance, {0, 2}) *
                        g.constant<float>(DType::f32, {static_cast<int64_t>(frequencies.size())}, frequencies);
    const Value sines = g.op("Sin", {turns}), cosines = g.op("Cos", {turns});
    const Value forwards = concat({sines, cosines}, 2);
    if (!c.both_ways) return forwards;
    const Value batch = size_of(ids, 0), ways = concat({forwards, concat({-sines, cosines}, 2)}, 0);
    const Value is_second = g.op("GreaterOrEqual", {range(batch), g.op("Div", {batch, g.integer(2)})});
    return gather(ways, cast(is_second, DType::i64));
  }

  // What a next segment would attend to as well, where somebody asks for it: f32[n, batch, hidden].
  void keep(int64_t index, const Value& x) const {
    Graph& g = x.graph();
    const std::string name = "mems." + std::to_string(index);
    if (!g.wants(name)) return;
    Value kept = transpose(x, {1, 0, 2});
    if (c.reused > 0) kept = slice(kept, {0, 0, c.reused});
    if (c.kept > 0) kept = slice(kept, {0, -c.kept});
    g.mark(name, kept);
  }

  Value layer(const Scope& s, const Value& x, const Shared& shared, const std::string& probabilities) const {
    const Scope attention_at = s / "rel_attn", feed_forward_at = s / "ff";
    const Value mixed = mix(attention_at, x, shared, probabilities);
    const Value out = reshape(attention_at.weight("o", {c.hidden, c.heads, c.head_size()}), {c.hidden, c.hidden});
    const Value attended =
        norm(attention_at / "layer_norm", attention_at.composite("Linear", {mixed, out}) + x, {.epsilon = c.epsilon});
    const Value fed =
        feed_forward(feed_forward_at, attended.in(feed_forward_at),
                     {.inner = c.inner, .activation = c.activation, .up = "layer_1", .down = "layer_2", .bias = true});
    return norm(feed_forward_at / "layer_norm", fed + attended, {.epsilon = c.epsilon}).in(s);
  }

  // x: f[batch, n, hidden] -> the same, before the layer behind.
  Value mix(const Scope& s, const Value& x, const Shared& shared, const std::string& probabilities) const {
    const int64_t heads = c.heads, d = c.head_size();
    const double scale = 1 / std::sqrt(static_cast<double>(d));
    const auto matrix = [&](const char* name) {
      return reshape(s.weight(name, {c.hidden, heads, d}), {c.hidden, heads * d});
    };
    const auto projected = [&](const char* name) { return matmul(x.in(s), matrix(name)); };
    // The query's weights are scaled rather than the scores, which change with every text.
    const Value query = split_heads(matmul(x.in(s), matrix("q") * scale), heads);
    const auto biased = [&](const char* bias) {
      return query + reshape(s.weight(bias, {heads, d}), {heads, 1, d}) * scale;
    };

    const Value far = reshape(matmul(shared.positions.in(s), matrix("r")), {0, -1, heads, d});
    const Value by_distance = matmul(biased("r_r_bias"), transpose(far, {0, 2, 3, 1}));
    // What a key of the same segment adds is the same for all keys of a query, so that the difference alone tells.
    const Value segments = s.weight("seg_embed", {2, heads, d});
    const Value other = reshape(pick(segments, 0, 1) - pick(segments, 0, 0), {heads, d, 1});
    const Value by_segment = matmul(biased("r_s_bias"), other) * shared.other_segment;

    return attention(biased("r_w_bias"), projected("k"), projected("v"),
                     {.heads = heads,
                      .scale = 1,
                      .bias = relative_shift(by_distance, shared.spread) + by_segment + shared.hidden,
                      .probabilities = probabilities})
        .mixed;
  }

  TextHeads text_heads() const override {
    const auto scores = [this](int64_t out) {
      return [this, out](const Encoded& at) {
        const Scope root = at.base.graph().root();
        const Value x = c.summary(root / "sequence_summary", at.hidden, {.width = c.hidden});
        return linear(root / "logits_proj", x, {.out = out});
      };
    };
    const auto words = [this](const Encoded& at) {
      const TiedLinear layer{at.base.graph().root() / "lm_loss", at.base / "word_embedding", c.tied};
      return linear(layer, at.hidden, {.out = c.vocab});
    };
    return {.words = words,
            .classes = scores(labels()),
            .own = {head::logits("multiple-choice",
                                 [score = scores(1)](const Encoded& at) {
                                   return unflatten_choices(score(at), at.in.at("input_ids"));
                                 }),
                    {span_search_feature,
                     [this](const Encoded& at) { return search_span(at.base.graph().root(), at.hidden, c.search); }}}};
  }

  const XLNetConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.xlnet",
    .name = "XLNet",
    .models = {{.types = {"xlnet"},
                .features = {"default", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering", span_search_feature},
                .architectures = {{"XLNetForQuestionAnswering", span_search_feature}},
                .make = make<XLNetOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// Doge. Source: DogeModel and its heads, transformers 4.57 and 5.24 (modeling_doge.py).
#include <algorithm>
#include <cmath>
#include <limits>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

/// Experts of one neuron each, found by two halves of a key.
struct Retrieval {
  int64_t experts, halves, top_k;  // `halves` squared are used
};

struct DogeConfig {
  explicit DogeConfig(const Config& c)
      : vocab(c.size("vocab_size", 32768)),
        hidden(c.size("hidden_size", 1024)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 8)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 2048)),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        bias(c.boolean("attention_bias", false)),
        window(c.is_null("sliding_window") ? 0 : c.count("sliding_window", 0)),
        kept(c.size("keep_window_size", 2048)),
        feed(gated_feed_forward(c.size("intermediate_size", 2048), c.text("hidden_act", "silu"),
                                c.boolean("mlp_bias", false))),
        is_mixture(c.boolean("is_moe", false)),
        tied(c.tie(false)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")),
        rotary(c, head_size) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    retrieval.experts = c.size("num_experts", 16384);
    retrieval.halves = static_cast<int64_t>(std::floor(std::sqrt(static_cast<double>(retrieval.experts))));
    retrieval.top_k = c.size("num_experts_per_tok", 64);
    if (is_mixture)
      require_at_most({"num_experts_per_tok", retrieval.top_k},
                      {"those that halves of a key find", retrieval.halves * retrieval.halves});
    no_effect_of_router_training(c);
    c.no_effect({"norm_topk_prob"});  // a softmax over the chosen is 1 in sum
    c.no_effect({"hidden_dropout"});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  Norm rms;
  bool bias;
  int64_t window;  // in keys; 0: none
  int64_t kept;    // so many keys are attended to, of longer texts
  FeedForward feed;
  bool is_mixture;
  Retrieval retrieval{};
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  Rotary rotary;
};

class DogeOnnxConfig final : public RotaryDecoder {
 public:
  explicit DogeOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return is_usual_cache("doge", {c.hidden, c.heads, c.kv_heads, c.head_size}); }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    const Angles of_text = angles(s, in);
    const Value seen = c.kept < c.positions ? visible(s, in) : Value();
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string number = std::to_string(i);
      g.mark("hidden_states." + number, x);
      Attended given{.mask = in.at("attention_mask"),
                     .angles = of_text,
                     .cache = &cache,
                     .layer = i,
                     .probabilities = "attentions." + number};
      given.scores = [&](const Scope& module, const QueryKeyValue& made) {
        return worth_of_keys(module, made.value, cache.past(i).value, seen);
      };
      x = layer(s / "layers" / i, x, given);
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  /// What a branch is added to has a learnt factor for each channel. Source: DogeDecoderLayer, transformers 4.57.
  Value layer(const Scope& s, const Value& x, const Attended& given) const {
    const AttentionBlock block{.heads = c.heads,
                               .kv_heads = c.kv_heads,
                               .head_size = c.head_size,
                               .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                               .query_key_norm = QueryKeyNorm{.norm = c.rms},
                               .causal = true,
                               .window = c.window};
    const Value read = norm(s / "input_layernorm", x, c.rms);
    const Value y = x * s.weight("input_residual", {c.hidden}) + attend(s / "self_attn", read, block, given);
    const Value h = norm(s / "post_attention_layernorm", y, c.rms);
    Value fed = feed_forward(s / "mlp", h, c.feed);
    if (c.is_mixture) fed = fed + retrieved(s / "mlp", h);
    return y * s.weight("post_attention_residual", {c.hidden}) + fed;
  }

  /// What each key's values add to its scores, whoever asks: f[batch, heads, 1 or n, total]. In longer texts than
  /// `kept` a token attends to as many of the keys that it sees as that, those that this is largest for. `seen` is
  /// absent where texts are no longer. Source: DogeAttention.prepare_dynamic_mask, transformers 4.57.
  Value worth_of_keys(const Scope& s, const Value& value, const Value& past, const Value& seen) const {
    Graph& g = s.graph();
    const auto of = [&](const Value& values) {
      return linear(s / "dt_proj", values.rank() == 3 ? values : merge_heads(values),
                    {.out = c.kv_heads, .bias = c.bias});
    };
    const Value steps = past ? concat({of(past), of(value)}, 1) : of(value);
    Value worth = exp(g.op("Softplus", {steps}) * s.weight("A", {c.kv_heads}));
    worth = unsqueeze(transpose(worth, {0, 2, 1}), {2});  // f[batch, kv heads, 1, total]
    if (seen) worth = best_of(worth, seen);
    const int64_t each = c.heads / c.kv_heads;
    if (each == 1) return worth;
    const std::vector<Value> copies(static_cast<size_t>(each), unsqueeze(worth, {2}));
    const Value of_heads = concat(copies, 2);
    return g.op("Reshape",
                {of_heads, concat({shape_of(worth, 0, 1), g.integers({c.heads}), shape_of(worth, 2, 4)}, 0)});
  }

  /// The lowest number for all but the `kept` keys of largest worth among those that are seen.
  Value best_of(const Value& worth, const Value& seen) const {
    Graph& g = worth.graph();
    const Value lowest = g.scalar(static_cast<double>(std::numeric_limits<float>::lowest()));
    const Value counted = where(seen, worth, lowest);  // f[batch, kv heads, n, total]
    const Value k = g.op("Min", {size_of(worth, 3), g.integer(c.kept)});
    const Value places = top_k(counted, k).indices;
    const Value one = expand_to(g.scalar(1), places), zero = expand_to(g.scalar(0), counted);
    const Value chosen = g.op("ScatterElements", {zero, places, one}, {{"axis", -1}});
    return where(equal(cast(chosen, DType::i64), 0), lowest, counted);
  }
  static Value expand_to(const Value& x, const Value& like) {
    return x.graph().op("Expand", {x, like.graph().op("Shape", {like})});
  }

  /// Which keys a token sees: bool[batch, 1, n, total].
  Value visible(const Scope& s, const Inputs& in) const {
    Graph& g = s.graph();
    const Value mask = in.at("attention_mask");
    const Value total = size_of(mask, 1), tokens = size_of(in.at("input_ids"), 1);
    const Value keys = unsqueeze(range(total), {0}), queries = unsqueeze(range(tokens) + (total - tokens), {1});
    Value sees = g.op("GreaterOrEqual", {queries, keys});
    if (c.window > 0) sees = g.op("And", {sees, g.op("Greater", {keys, queries - g.integer(c.window)})});
    return g.op("And", {unsqueeze(sees, {0, 1}), unsqueeze(logical_not(equal(mask, 0)), {1, 2})}).in(s);
  }

  /// One neuron for each expert that a token retrieves: h: f[batch, n, hidden] -> the same. The two halves of keys are
  /// cut from all tokens' products together, as the original does. Source: DogeCDMoE, transformers 4.57 and 5.24.
  Value retrieved(const Scope& s, const Value& h) const {
    const Retrieval& r = c.retrieval;
    const Value products = linear(s / "router_gate", h, {.out = 2 * r.halves, .bias = false});
    const Value halves = reshape(products, {2, -1, r.halves});
    const Value all = unsqueeze(pick(halves, 0, 0), {2}) + unsqueeze(pick(halves, 0, 1), {1});
    const TopK best = top_k(reshape(all, {-1, r.halves * r.halves}), r.top_k);
    const auto neurons = [&](const char* name) {
      return embedding(s / name, best.indices, {r.experts, c.hidden});  // f[tokens, top_k, hidden]
    };
    const Value read = squeeze(matmul(neurons("down_embed"), reshape(h, {-1, c.hidden, 1})), {2});
    const Value active = activation(read, c.feed.activation) * softmax(best.values);
    const Value mixed = matmul(unsqueeze(active, {1}), neurons("up_embed"));
    return h.graph().op("Reshape", {mixed, h.graph().op("Shape", {h})});
  }

  const DogeConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.doge",
    .name = "Doge",
    .models = {{.types = {"doge"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<DogeOnnxConfig>}},
})

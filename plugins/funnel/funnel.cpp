// SPDX-License-Identifier: Apache-2.0
// Funnel Transformer: blocks of layers, each over half as many places as the one before it, and a decoder over all of
// them. Source: FunnelModel and its heads, transformers 5.24 (modeling_funnel.py).
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/relative_shift.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

constexpr int64_t type_of_cls = 2;  // which is of the type of all others

struct FunnelConfig {
  explicit FunnelConfig(const Config& c)
      : vocab(c.size("vocab_size", 30522)),
        hidden(c.size("d_model", 768)),
        heads(c.size("n_head", 12)),
        head_size(c.size("d_head", 64)),
        inner(c.size("d_inner", 3072)),
        decoder_layers(c.count("num_decoder_layers", 2)),
        blocks(c.integers("block_sizes")),
        repeats(c.integers("block_repeats")),
        activation(c.text("hidden_act", "gelu_new")),
        epsilon(c.real("layer_norm_eps", 1e-9)),
        mean(c.choice("pooling_type", "mean", {"mean", "max"}) == "mean"),
        factorized(c.choice("attention_type", "relative_shift", {"relative_shift", "factorized"}) == "factorized"),
        separate(c.boolean("separate_cls", true)),
        truncates(separate && c.boolean("truncate_seq", true)),
        pools_queries_only(c.boolean("pool_q_only", true)),
        zeroed(c.written_since(5, 0) ? c.maybe_integer("pad_token_id") : std::nullopt),
        tied(c.tie(true)) {
    if (blocks.empty()) blocks = {4, 4, 4};
    if (repeats.empty()) repeats.assign(blocks.size(), 1);
    require_equal({"block_repeats (how many)", static_cast<int64_t>(repeats.size())},
                  {"as many as block_sizes", static_cast<int64_t>(blocks.size())});
    require_multiple({"d_model", hidden}, {"2, as positions are sines and cosines", 2});
    c.no_effect({"truncate_seq", "num_hidden_layers", "num_blocks", "pad_token_id", "type_vocab_size",
                 "max_position_embeddings", "rel_attn", "initializer_std", "hidden_dropout", "activation_dropout"});
  }
  int64_t vocab, hidden, heads, head_size, inner, decoder_layers;
  std::vector<int64_t> blocks, repeats;
  std::string activation;
  double epsilon;
  bool mean, factorized;
  bool separate;   // the first token is pooled with nothing but itself
  bool truncates;  // and the last one falls away, so that the number of places stays even
  bool pools_queries_only;
  std::optional<int64_t> zeroed;  // the token whose vector the reference zeroes when it loads a model, since version 5
  Tie tied;
};

/// Places that see each other: those of the text, or what blocks have left of them.
struct Level {
  Value length;        // i64, a scalar
  Value mask;          // i64[batch, n]: 1 where a place counts
  Value types;         // i64[batch, n]
  Value places;        // i64[n]: where each stands in the text
  int64_t stride = 1;  // how far apart they stand there
};

/// What a layer's queries and keys are, which layers of a kind share.
struct Sight {
  Level queries, keys;
  Spread spread;
  Value sines, cosines;          // f32[distances, hidden / 2]; of the queries' places, where attention is factorized
  Value key_sines, key_cosines;  // of the keys' places
  Value same_type;               // bool[batch, 1, queries, keys]
  Value beside_first;            // f32[queries, keys]: 0 for the first query or key; absent where that is no exception
};

class FunnelOnnxConfig final : public TextEncoder {
 public:
  explicit FunnelOnnxConfig(const Request& request)
      : TextEncoder(request),
        c(request.config.with_names({{"d_model", "hidden_size"}, {"n_head", "num_attention_heads"}})) {
    for (const std::string& architecture : request.config.texts("architectures"))
      is_base |= architecture == "FunnelBaseModel";
    is_base &= task() == "default";
  }

  std::vector<OutputSpec> outputs() const override {
    if (is_base) return {{"last_hidden_state", {{0, axis::batch}, {1, "pooled_sequence"}}}};
    return TextEncoder::outputs();
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "funnel", .vocab = c.vocab, .segments = type_of_cls + 1, .pooler = false};
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Level whole{.length = size_of(text.ids, 1),
                      .mask = text.mask,
                      .types = text.segments_or_first(),
                      .places = range(size_of(text.ids, 1))};
    if (c.tied) s.graph().stand_in(s / "embeddings.word_embeddings", s.graph().root() / "lm_head");
    Value x = embedding(s / "embeddings.word_embeddings", text.ids, {c.vocab, c.hidden});
    if (c.zeroed) x = x * unsqueeze(cast(logical_not(equal(text.ids, *c.zeroed)), x.dtype()), {2});
    x = norm(s / "embeddings.layer_norm", x, {.epsilon = c.epsilon});
    Value first_block;
    x = encode_blocks(s / "encoder", x, whole, first_block);
    if (is_base || task() == "sequence-classification" || task() == "multiple-choice") return x;
    return decode(s / "decoder", upsample(x.in(s / "decoder"), whole) + first_block, whole);
  }

  /// `first_block`: what as many layers yield as the first block has.
  Value encode_blocks(const Scope& s, Value x, Level level, Value& first_block) const {
    Graph& g = s.graph();
    int64_t run = 0;
    const auto step = [&](const Value& hidden) {
      g.mark("hidden_states." + std::to_string(run), hidden);
      if (run++ == c.blocks[0]) first_block = hidden;
    };
    step(x);
    for (size_t b = 0; b < c.blocks.size(); ++b) {
      const Scope block = s / "blocks" / static_cast<int64_t>(b);
      Value query = x;
      Level pooled = level;
      if (b > 0) {
        const Pairs pairs = pairs_of(block, level);
        query = joined(x, pairs);
        pooled = joined(level, pairs);
        if (!c.pools_queries_only) {
          x = query;
          level = pooled;
        }
      }
      // Only the first layer's queries are fewer than its keys.
      Sight sight = sight_of(block / "first", pooled, level);
      for (int64_t i = 0; i < c.blocks[b]; ++i) {
        for (int64_t again = 0; again < c.repeats[b]; ++again) {
          x = layer(block / i, query, x, sight, "attentions." + std::to_string(run - 1));
          if (i == 0 && again == 0 && b > 0) sight = sight_of(block, pooled, pooled);
          query = x;
          step(x);
        }
      }
      level = pooled;
    }
    return x;
  }

  /// Its steps are counted on behind the encoder's.
  Value decode(const Scope& s, Value x, const Level& whole) const {
    Graph& g = s.graph();
    const Sight sight = sight_of(s, whole, whole);
    int64_t step = 1;
    for (size_t b = 0; b < c.blocks.size(); ++b) step += c.blocks[b] * c.repeats[b];
    g.mark("hidden_states." + std::to_string(step), x);
    for (int64_t i = 0; i < c.decoder_layers; ++i) {
      x = layer(s / "layers" / i, x, x, sight, "attentions." + std::to_string(step - 1));
      g.mark("hidden_states." + std::to_string(++step), x);
    }
    return x;
  }

  // ---------------------------------------------------------------------------------------------- pooling

  /// Which two places become one: i64[n] each; the same one twice where there is no second.
  struct Pairs {
    Value length;
    Value first, second;
  };
  Pairs pairs_of(const Scope& s, const Level& level) const {
    Graph& g = s.graph();
    // With the first token once more in front, it is one of a pair with itself.
    const Value total = c.separate && !c.truncates ? level.length + g.integer(1) : level.length;
    const Value half = g.op("Div", {total + g.integer(1), g.integer(2)});
    // Two places are not pooled, where positions do not follow from their number.
    const bool may_stay = c.factorized && c.truncates;
    const Value stays = g.op("LessOrEqual", {level.length, g.integer(2)});
    const Value length = named_length(s / "pooled", may_stay ? where(stays, level.length, half) : half);
    const Value index = range(length);
    const auto place = [&](const Value& at) {
      const Value found = c.separate ? g.op("Max", {at - g.integer(1), g.integer(0)}) : at;
      return may_stay ? where(stays, index, found) : found;
    };
    const Value even = index * g.integer(2);
    return {length, place(even), place(g.op("Min", {even + g.integer(1), total - g.integer(1)}))};
  }
  Value joined(const Value& x, const Pairs& pairs) const {
    const Value first = gather(x, pairs.first, 1), second = gather(x, pairs.second, 1);
    return c.mean ? (first + second) * 0.5 : x.graph().op("Max", {first, second});
  }
  /// What is pooled with padding does not count.
  Level joined(const Level& level, const Pairs& pairs) const {
    Graph& g = level.length.graph();
    const Value mask = level.mask;
    return {.length = pairs.length,
            .mask = g.op("Min", {gather(mask, pairs.first, 1), gather(mask, pairs.second, 1)}),
            .types = gather(level.types, pairs.first, 1),
            .places = gather(level.places, pairs.first),
            .stride = 2 * level.stride};
  }

  /// Every place of the text takes what became of it: f[batch, n, hidden] -> f[batch, length, hidden].
  Value upsample(const Value& x, const Level& whole) const {
    Graph& g = x.graph();
    const int64_t stride = int64_t{1} << (c.blocks.size() - 1);
    if (stride == 1) return x;
    const Value place = range(whole.length);
    if (!c.separate) return gather(x, g.op("Div", {place, g.integer(stride)}), 1);
    // The first one is itself; what truncation took away is 0.
    const Value from = g.op("Div", {place + g.integer(stride - 1), g.integer(stride)}),
                last = size_of(x, 1) - g.integer(1);
    const Value found = gather(x, g.op("Min", {from, last}), 1);
    return found * unsqueeze(cast(g.op("LessOrEqual", {from, last}), x.dtype()), {1});
  }

  // -------------------------------------------------------------------------------------------- attention

  Sight sight_of(const Scope& s, const Level& queries, const Level& keys) const {
    Graph& g = s.graph();
    Sight sight{.queries = queries, .keys = keys, .spread = {queries.length, keys.length}};
    const bool pooled = queries.stride != keys.stride;
    if (pooled) {
      // The first place stands where it would, were it not a token of its own.
      sight.spread.step = 2;
      sight.spread.first = g.integer(c.separate ? -1 : 0);
    }
    if (c.factorized) {
      turns(queries.places.in(s), sight.sines, sight.cosines);
      turns(keys.places.in(s), sight.key_sines, sight.key_cosines);
    } else {
      turns(distances(sight.spread).in(s)*g.integer(keys.stride), sight.sines, sight.cosines);
    }
    const auto is_cls = [&](const Value& types) { return equal(types, type_of_cls); };
    const Value query_types = unsqueeze(queries.types.in(s), {1, 3}), key_types = unsqueeze(keys.types.in(s), {1, 2});
    sight.same_type = g.op("Or", {equal(query_types, key_types), g.op("Or", {is_cls(query_types), is_cls(key_types)})});
    if (c.separate) {
      const auto behind = [&](const Level& level) {
        return cast(g.op("Greater", {range(level.length), g.integer(0)}), DType::f32);
      };
      sight.beside_first = unsqueeze(behind(queries), {1}) * behind(keys);
    }
    return sight;
  }

  /// Sines and cosines of positions: i64[n] -> f32[n, hidden / 2].
  void turns(const Value& positions, Value& sines, Value& cosines) const {
    Graph& g = positions.graph();
    std::vector<float> frequencies;
    for (int64_t i = 0; i < c.hidden / 2; ++i)
      frequencies.push_back(1 / std::pow(10000.0f, static_cast<float>(i) / static_cast<float>(c.hidden / 2)));
    const Value angles =
        unsqueeze(cast(positions, DType::f32), {1}) * g.constant<float>(DType::f32, {c.hidden / 2}, frequencies);
    sines = g.op("Sin", {angles});
    cosines = g.op("Cos", {angles});
  }

  Value layer(const Scope& s, const Value& query, const Value& key, const Sight& sight,
              const std::string& probabilities) const {
    const Scope attention_at = s / "attention", ffn = s / "ffn";
    const Value attended = norm(attention_at / "layer_norm",
                                attend(attention_at, query, key, sight, probabilities) + query, {.epsilon = c.epsilon});
    const Value fed = feed_forward(
        ffn, attended.in(ffn),
        {.inner = c.inner, .activation = c.activation, .up = "linear_1", .down = "linear_2", .bias = true});
    return norm(ffn / "layer_norm", fed + attended, {.epsilon = c.epsilon}).in(s);
  }

  Value attend(const Scope& s, const Value& from, const Value& over, const Sight& sight,
               const std::string& probabilities) const {
    const int64_t heads = c.heads, d = c.head_size;
    const double scale = 1 / std::sqrt(static_cast<double>(d));
    const auto projected = [&](const char* name, const Value& x, bool bias) {
      return split_heads(linear(s / name, x.in(s), {.out = heads * d, .bias = bias}), heads);
    };
    const Value query = projected("q_head", from, false);
    const auto biased = [&](const char* bias) { return query + reshape(s.weight(bias, {heads, d}), {heads, 1, d}); };

    const Value kernel = s.weight("r_kernel", {c.hidden, heads, d}) * scale;
    const Value by_place =
        c.factorized ? factorized(biased("r_r_bias"), kernel, sight) : shifted(biased("r_r_bias"), kernel, sight);
    const Value types = transpose(s.weight("seg_embed", {2, heads, d}) * scale, {1, 2, 0});
    const std::vector<Value> by_type = split(matmul(biased("r_s_bias"), types), -1, {1, 1});
    Value scores = by_place + where(sight.same_type, by_type[1], by_type[0]);
    if (sight.beside_first) scores = scores * sight.beside_first;

    const Value mixed =
        attention(
            biased("r_w_bias"), projected("k_head", over, true), projected("v_head", over, true),
            {.heads = heads, .scale = scale, .bias = scores, .mask = sight.keys.mask, .probabilities = probabilities})
            .mixed;
    return linear(s / "post_proj", mixed, {.out = c.hidden});
  }

  /// Scores by vectors of distances: query: f[batch, heads, n, d], kernel: f[hidden, heads, d].
  Value shifted(const Value& query, const Value& kernel, const Sight& sight) const {
    const Value positions = concat({sight.sines, sight.cosines}, 1);  // f32[distances, hidden]
    const Value far = matmul(positions, reshape(kernel, {c.hidden, c.heads * c.head_size}));
    const Value by_head = transpose(reshape(far, {-1, c.heads, c.head_size}), {1, 2, 0});
    return relative_shift(matmul(query, by_head), sight.spread);
  }

  /// The same by the queries' and the keys' places, as sin(a - b) and cos(a - b) come apart.
  Value factorized(const Value& query, const Value& kernel, const Sight& sight) const {
    const Value turned = matmul(query, transpose(kernel, {1, 2, 0}));  // f[batch, heads, n, hidden]
    const auto twice = [](const Value& x) { return concat({x, x}, 1); };
    const Value psi = concat({sight.key_cosines, sight.key_sines}, 1);
    const Value omega = concat({-sight.key_sines, sight.key_cosines}, 1);
    return matmul(turned * twice(sight.sines), transpose(psi, {1, 0})) +
           matmul(turned * twice(sight.cosines), transpose(omega, {1, 0}));
  }

  // ------------------------------------------------------------------------------------------------ heads

  TextHeads text_heads() const override {
    const auto scores = [this](int64_t out) {
      return [this, out](const Encoded& at) {
        const Scope head = at.base.graph().root() / "classifier";
        const Value x = tanh(linear(head / "linear_hidden", pick(at.hidden, 1, 0), {.out = c.hidden}));
        return linear(head / "linear_out", x, {.out = out});
      };
    };
    const auto words = [this](const Encoded& at) {
      const TiedLinear layer{at.base.graph().root() / "lm_head", at.base / "embeddings.word_embeddings", c.tied};
      return linear(layer, at.hidden, {.out = c.vocab});
    };
    const auto replaced = [this](const Encoded& at) {
      const Scope head = at.base.graph().root() / "discriminator_predictions";
      const Value x = activation(linear(head / "dense", at.hidden, {.out = c.hidden}), c.activation);
      return squeeze(linear(head / "dense_prediction", x, {.out = 1}), {-1});
    };
    return {.words = words,
            .classes = scores(labels()),
            .replaced = replaced,
            .own = {head::logits("multiple-choice", [score = scores(1)](const Encoded& at) {
              return unflatten_choices(score(at), at.in.at("input_ids"));
            })}};
  }

  const FunnelConfig c;
  bool is_base = false;  // without a decoder
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.funnel",
    .name = "Funnel Transformer",
    .models = {{.types = {"funnel"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering", "pretraining"},
                .architectures = {{"FunnelForPreTraining", "pretraining"}, {"FunnelBaseModel", "default"}},
                .make = make<FunnelOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// An attention module, as data: how queries, keys and values are made and what is done to them before and after they
// meet. What differs from call to call (masks, angles, a cache) is given apart.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/rotary.hpp>
#include <onnxport/with_past.hpp>

namespace onnxport::sdk {

/// Which of the layers have a bias; one that makes all three goes by the query's.
struct ProjectionBias {
  bool query = false, key = false, value = false, output = false;
};
inline constexpr ProjectionBias all_biased{true, true, true, true};

/// The layers that make queries, keys and values, and the one behind.
struct Projections {
  enum class Packing {
    apart,   ///< a layer each
    blocks,  ///< one layer: all queries, then all keys, then all values
    groups,  ///< one layer: for each kv head its queries, its key, its value
  };
  Packing packing = Packing::apart;
  int64_t groups = 0;        ///< so many groups of heads in place of one for each kv head, as in CodeGen
  bool value_first = false;  ///< in a group the values are before the keys
  std::string query = "q_proj", key = "k_proj", value = "v_proj";  ///< value empty: what makes the keys makes both
  std::string fused = "qkv_proj";
  std::string output = "o_proj";
  std::string output_bias{};  ///< a bias behind the output that is the module's own: its name, as in GPT-NeoX-Japanese
  ProjectionBias bias{};
  Matrix matrix = Matrix::out_in;
};

/// A norm of queries and keys.
struct QueryKeyNorm {
  Norm norm{.kind = Norm::Kind::rms};
  bool per_head = true;  ///< false: over all heads at once, before they are split
  std::string query = "q_norm", key = "k_norm";
  std::string each{};  ///< every head has a weight of its own, {each}.{i} below the norm, as in StableLM; without bias
  bool stacked = false;  ///< every head has a row of one weight f[heads, d], as in Cohere; without bias
  bool turned = false;   ///< behind the turn by their positions, as in HunYuan
  /// Of the values of every head, as in Gemma 3n.
  std::optional<Norm> values{};
  std::string value = "v_norm";
};

struct AttentionBlock {
  int64_t heads;
  int64_t kv_heads = 0;  ///< 0: as many as heads
  int64_t head_size;
  int64_t value_size = 0;  ///< 0: as wide as a key
  /// Keys and values are repeated for each of their queries and cached so, as in Falcon.
  bool repeats_kv = false;
  Projections projections{};
  std::optional<QueryKeyNorm> query_key_norm{};
  double clip = 0;     ///< queries, keys and values, behind their norms, within ±clip; 0: as they are
  double scale = 0;    ///< 0: 1/√head size
  double softcap = 0;  ///< 0: none
  bool causal = false;
  int64_t window = 0;         ///< as of AttentionOptions
  bool interleaved = false;   ///< rotary pairs are neighbours, not halves
  bool turns_values = false;  ///< values are turned by the angles as well, as in RoFormer
  std::string sinks{};        ///< the name of the weight f[heads] that stands for a key to nothing
  /// The layer to whose keys and values it attends, as they are after this step; it makes none of its own. That layer
  /// lends.
  std::optional<int64_t> borrows{};
  bool lends = false;

  int64_t key_heads() const { return kv_heads == 0 ? heads : kv_heads; }
  int64_t cached_heads() const { return repeats_kv ? heads : key_heads(); }
  int64_t value_width() const { return value_size == 0 ? head_size : value_size; }
};

struct QueryKeyValue {
  Value query, key, value;
};

/// What a decoder's layer attends to beside itself.
struct OverEncoder {
  Value hidden{};               ///< f[batch, encoder_sequence, n]; absent where the cache holds what is made of it
  Value mask{};                 ///< i64[batch, encoder_sequence]: 1 where a place counts
  std::string probabilities{};  ///< as of AttentionOptions
  bool cached = false;          ///< whether the cache holds what is made of it

  /// Whether there is an encoder at all.
  bool attends() const { return cached || hidden; }
};

/// What a decoder that is part of a larger model was given of an encoder.
inline OverEncoder over_encoder(const Inputs& in) {
  return {.hidden = in.maybe("encoder_hidden_states"),
          .mask = in.maybe("encoder_attention_mask"),
          .cached = static_cast<bool>(in.maybe("past_key_values.0.encoder.key"))};
}

/// What an attention is given at a layer.
struct Attended {
  Value mask{};     ///< i64[batch, total]: 1 where a key counts
  Value bias{};     ///< added to the scaled scores; broadcastable to f[batch, heads, query, total]
  Angles angles{};  ///< of the tokens' positions; absent: not turned
  Value factor{};   ///< of each token's queries: f[batch or 1, n, 1]; absent: 1
  Cache* cache = nullptr;
  int64_t layer = 0;      ///< its number in the cache
  OverEncoder encoder{};  ///< of a layer that attends to an encoder as well
  /// Further scores that depend on queries and keys (f[batch, n, heads·d]) and weights of the module; added as the bias
  /// is.
  std::function<Value(const Scope& module, const QueryKeyValue& made)> scores{};
  std::string probabilities{};  ///< as of AttentionOptions
};

/// Every head `times` times in a row: f[batch, n, heads·d] -> f[batch, n, heads·times·d].
inline Value repeat_heads(const Operand& x, int64_t heads, int64_t times) {
  if (times == 1) return x;
  const int64_t width = x.fixed(-1);
  const Value apart = reshape(x, {0, 0, heads, 1, width / heads});
  return reshape(expand(apart, {1, 1, 1, times, 1}), {0, 0, times * width});
}

/// Every head normed with a weight of its own: f[batch, heads, n, d] -> the same. Weights: {i}.weight f[d].
/// Source: StableLmLayerNormPerHead, transformers 4.57.
inline Value norm_each_head(const Scope& scope, const Operand& x, Norm form) {
  form.weight = form.bias = false;
  std::vector<Value> weights;
  for (int64_t i = 0; i < x.fixed(1); ++i)
    weights.push_back(unsqueeze((scope / i).weight("weight", {x.fixed(-1)}), {0, 1}));
  return norm(scope, x, form) * concat(weights, 0);
}

/// Every head normed with a row of one weight: f[batch, heads, n, d] -> the same. Weights: weight f[heads, d].
/// Source: CohereLayerNorm of queries and keys, transformers 4.57.
inline Value norm_stacked_heads(const Scope& scope, const Operand& x, Norm form) {
  form.weight = form.bias = false;
  return norm(scope, x, form) * unsqueeze(scope.weight("weight", {x.fixed(1), x.fixed(-1)}), {1});
}

namespace detail {
/// Queries and keys with their heads apart: f[batch, heads, n, d].
inline QueryKeyValue heads_apart(const QueryKeyValue& made, const AttentionBlock& block) {
  return {split_heads(made.query, block.heads), made.key ? split_heads(made.key, block.cached_heads()) : Value(),
          made.value};
}
/// Queries and keys through their norms.
inline QueryKeyValue norm_query_key(const Scope& scope, const QueryKeyValue& made, const QueryKeyNorm& n) {
  const auto normed = [&](const std::string& name, const Value& part) {
    if (n.stacked) return norm_stacked_heads(scope / name, part, n.norm);
    return n.each.empty() ? norm(scope / name, part, n.norm)
                          : norm_each_head(scope / name / n.each, part, n.norm).in(scope);
  };
  return {normed(n.query, made.query), made.key ? normed(n.key, made.key) : Value(), made.value};
}
}  // namespace detail

/// x -> queries, keys and values, heads side by side (f[batch, n, heads·d]) or, where they are normed one by one, apart
/// (f[batch, heads, n, d]).
inline QueryKeyValue project(const Scope& scope, const Operand& x, const AttentionBlock& block) {
  const Projections& p = block.projections;
  const int64_t heads = block.heads, kv_heads = block.key_heads(), d = block.head_size, dv = block.value_width();
  QueryKeyValue made;
  if (block.borrows) {
    made.query = project(scope / p.query, x, p.matrix, {.out = heads * d, .bias = p.bias.query});
  } else if (p.packing == Projections::Packing::apart) {
    made = {project(scope / p.query, x, p.matrix, {.out = heads * d, .bias = p.bias.query}),
            project(scope / p.key, x, p.matrix, {.out = kv_heads * d, .bias = p.bias.key}), Value()};
    made.value = p.value.empty() ? made.key
                                 : project(scope / p.value, x, p.matrix, {.out = kv_heads * dv, .bias = p.bias.value});
  } else {
    const std::vector<int64_t> widths{heads * d, kv_heads * d, kv_heads * dv};
    Value all = project(scope / p.fused, x, p.matrix, {.out = widths[0] + widths[1] + widths[2], .bias = p.bias.query});
    if (p.packing == Projections::Packing::blocks) {
      const std::vector<Value> parts = split(all, -1, widths);
      made = {parts[0], parts[1], parts[2]};
    } else {
      const int64_t groups = p.groups == 0 ? kv_heads : p.groups;
      const size_t key = p.value_first ? 2 : 1, value = 3 - key;
      std::vector<int64_t> order(3);
      order[0] = widths[0] / groups;
      order[key] = widths[1] / groups;
      order[value] = widths[2] / groups;
      all = reshape(all, {0, 0, groups, order[0] + order[1] + order[2]});
      const std::vector<Value> parts = split(all, -1, order);
      made = {reshape(parts[0], {0, 0, widths[0]}), reshape(parts[key], {0, 0, widths[1]}),
              reshape(parts[value], {0, 0, widths[2]})};
    }
  }
  if (block.repeats_kv) {
    for (Value* part : {&made.key, &made.value}) *part = repeat_heads(*part, kv_heads, heads / kv_heads);
  }
  if (const auto& n = block.query_key_norm; n && !n->turned)
    made = detail::norm_query_key(scope, n->per_head ? detail::heads_apart(made, block) : made, *n);
  if (block.clip != 0) {
    for (Value* part : {&made.query, &made.key, &made.value})
      *part = scope.op("Clip", {*part}, {{"min", -block.clip}, {"max", block.clip}});
  }
  if (const auto& n = block.query_key_norm; n && n->values && made.value)
    made.value = norm(scope / n->value, split_heads(made.value, block.cached_heads()), *n->values);
  return made;
}

/// Attention between queries, keys and values that are made already -> f[batch, n, heads·value size], before the layer
/// behind: for a module that makes them in a way of its own. Of `block`, what project() reads is not looked at.
inline Value mix(const Scope& scope, const QueryKeyValue& made, const AttentionBlock& block, const Attended& given) {
  AttentionOptions options{.heads = block.heads,
                           .kv_heads = block.cached_heads(),
                           .scale = block.scale,
                           .bias = given.bias,
                           .causal = block.causal,
                           .softcap = block.softcap,
                           .mask = given.mask,
                           .window = block.window,
                           .angles = given.angles,
                           .interleaved = block.interleaved,
                           .probabilities = given.probabilities};
  Value query = made.query, key = made.key, values = made.value;
  if (block.turns_values && given.angles.cos) {
    values = scope.composite("RotaryEmbedding",
                             {split_heads(values, block.cached_heads()), given.angles.cos, given.angles.sin},
                             {{"interleaved", block.interleaved}});
  }
  if (block.borrows) {
    const KeyValue lent = given.cache->now(*block.borrows);
    key = lent.key;
    values = lent.value;
    if (query.rank() == 3) query = split_heads(query, block.heads);
    if (given.angles.cos) query = rotate(query, given.angles, block.interleaved);
    options.angles = {};
  } else if (given.cache != nullptr) {
    options.past = given.cache->past(given.layer);
    options.present = given.cache->keeps() || block.lends;
  }
  if (given.scores) {
    const Value scores = given.scores(scope, made);
    options.bias = options.bias ? scores + options.bias : scores;
  }
  if (!block.sinks.empty()) options.sinks = scope.weight(block.sinks, {block.heads});
  const AttentionResult result = attention(query, key, values, options);
  if (options.present) given.cache->keep(given.layer, result.present);
  return result.mixed;
}

/// Attention of a text to itself: x: f[batch, n, width] -> the same. Names are those below `scope`.
/// Source: the attention classes of transformers 4.57, GPT2Attention, LlamaAttention, BertSelfAttention and their like.
inline Value attend(const Scope& scope, const Operand& x, const AttentionBlock& block, const Attended& given) {
  const Projections& p = block.projections;
  QueryKeyValue made = project(scope, x, block);
  Attended rest = given;
  if (const auto& n = block.query_key_norm; n && n->turned) {
    made = detail::heads_apart(made, block);
    for (Value* part : {&made.query, &made.key}) {
      if (*part) *part = rotate(*part, given.angles, block.interleaved);
    }
    made = detail::norm_query_key(scope, made, *n);
    rest.angles = {};
  }
  if (given.factor) {
    const bool apart = made.query.shape().size() == 4;
    made.query = made.query * (apart ? unsqueeze(given.factor, {1}) : given.factor);
  }
  const Value mixed = mix(scope, made, block, rest);
  const Value y = project(scope / p.output, mixed, p.matrix, {.out = x.fixed(-1), .bias = p.bias.output});
  return p.output_bias.empty() ? y : y + scope.weight(p.output_bias, {x.fixed(-1)});
}

namespace detail {
/// What a block states that an attention to an encoder does not do; null where it does all.
inline const char* not_over_encoder(const AttentionBlock& block) {
  if (block.projections.packing == Projections::Packing::groups) return "projections in groups";
  if (block.query_key_norm) return "norms of queries and keys";
  if (block.repeats_kv) return "repeated keys and values";
  if (block.clip != 0) return "clipped queries, keys and values";
  if (!block.projections.output_bias.empty()) return "bias of its own behind the output";
  if (!block.sinks.empty()) return "sinks";
  if (block.borrows || block.lends) return "keys and values that layers share";
  return nullptr;
}
}  // namespace detail

/// Attention of a decoder's text to an encoder's result: x: f[batch, n, width] -> the same. Keys and values are made
/// once, in blocks by one layer without queries, and are the cache's from then on. Causality, windows and rotary pairs
/// are a text's own and not looked at. Throws UNSUPPORTED where the block states what else it does not do.
inline Value attend_over(const Scope& scope, const Operand& x, const AttentionBlock& block, const Attended& given) {
  const Projections& p = block.projections;
  if (const char* what = detail::not_over_encoder(block)) {
    throw Error(ONNXPORT_UNSUPPORTED,
                std::string("an attention to an encoder has no ") + what +
                    "; write it with Cache::over_encoder() and attention()",
                scope.path());
  }
  const int64_t kv_heads = block.key_heads();
  const auto heads_of = [&](const std::string& name, int64_t width, bool bias) {
    return split_heads(project(scope / name, given.encoder.hidden, p.matrix, {.out = kv_heads * width, .bias = bias}),
                       kv_heads);
  };
  const Value query =
      project(scope / p.query, x, p.matrix, {.out = block.heads * block.head_size, .bias = p.bias.query});
  const KeyValue seen = given.cache->over_encoder(given.layer, [&]() -> KeyValue {
    if (p.packing == Projections::Packing::blocks) {
      const int64_t keys = kv_heads * block.head_size, values = kv_heads * block.value_width();
      const LinearOptions both{.out = keys + values, .bias = p.bias.key};
      const std::vector<Value> made =
          split(project(scope / p.fused, given.encoder.hidden, p.matrix, both), -1, {keys, values});
      return {split_heads(made[0], kv_heads), split_heads(made[1], kv_heads)};
    }
    return {heads_of(p.key, block.head_size, p.bias.key), heads_of(p.value, block.value_width(), p.bias.value)};
  });
  const Value mixed = attention(query, seen.key, seen.value,
                                {.heads = block.heads,
                                 .kv_heads = kv_heads,
                                 .scale = block.scale,
                                 .softcap = block.softcap,
                                 .mask = given.encoder.mask,
                                 .probabilities = given.encoder.probabilities})
                          .mixed;
  return project(scope / p.output, mixed, p.matrix, {.out = x.fixed(-1), .bias = p.bias.output});
}

}  // namespace onnxport::sdk

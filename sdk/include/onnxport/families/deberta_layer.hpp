// SPDX-License-Identifier: Apache-2.0
// A layer of DeBERTa, and how DeBERTa-v2 scores distances. Source: DebertaV2Model, transformers 4.57
// (modeling_deberta_v2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <onnxport/blocks/disentangled.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// The words of a field that is a list of texts, or one text with | between them, in small letters.
inline std::vector<std::string> words_of(const Config& c, std::string_view key) {
  if (!c.is_text(key)) return c.texts(key);
  std::vector<std::string> words{""};
  for (const char letter : c.text(key, "")) {
    if (letter == '|')
      words.emplace_back();
    else if (letter != ' ')
      words.back() += static_cast<char>(std::tolower(letter));
  }
  return words;
}

/// What an attention is made of: its queries, keys and values with their heads apart, and the tables by which distances
/// are scored.
struct DistanceAttending {
  QueryKeyValue made;
  DistanceTables tables;
};

/// A layer, but for what makes its queries, keys and values.
struct DebertaLayer {
  int64_t hidden, heads, inner;
  std::string activation;
  double epsilon;
  int64_t terms;  ///< of the scores, by which they are scaled
  /// x: f[batch, n, hidden]; `positions`: f[2·span, hidden], absent where distances are not scored.
  std::function<DistanceAttending(const Scope& self, const Value& x, const Value& positions)> attending;
};
/// What the layers of a text are given.
struct DebertaGiven {
  Value positions{};    ///< f[2·span, hidden]: vectors of distances; absent where these are not scored
  DistanceRows rows{};  ///< with them
  Value hidden{};       ///< f32, added to scores: broadcastable to f[batch, heads, n, n]
  Value mask{};         ///< i64[batch, n], 1 where a key counts
  Value counts{};       ///< f[batch, n, 1], by which what an attention mixes is multiplied
  std::string probabilities{};
};

/// x: f[batch, n, hidden] -> the same. Source: DebertaV2Layer.
inline Value deberta_layer(const Scope& s, const Operand& x, const DebertaLayer& form, const DebertaGiven& given) {
  const auto placed = [&](const char* name) { return Residual{Placement::after, {.epsilon = form.epsilon}, name}; };
  const Value attended = residual(s, x, placed("attention.output.LayerNorm"), [&](const Value& h) {
    const Scope self = s / "attention.self";
    const DistanceAttending at = form.attending(self, h, given.positions);
    const double scale = 1 / std::sqrt(static_cast<double>(form.hidden / form.heads * form.terms));
    // The tables rather than the scores, which are more numbers and change with every text.
    const auto scaled = [&](const Value& table) { return table ? table * scale : Value(); };
    const Value scores = disentangled_scores(at.made.query, at.made.key,
                                             {scaled(at.tables.keys), scaled(at.tables.queries)}, given.rows);
    const Value bias = scores && given.hidden ? scores + given.hidden : scores ? scores : given.hidden;
    const Value mixed = attention(at.made.query, at.made.key, at.made.value,
                                  {.heads = form.heads,
                                   .scale = scale,
                                   .bias = bias,
                                   .mask = given.mask,
                                   .probabilities = given.probabilities})
                            .mixed;
    return linear(s / "attention.output.dense", given.counts ? mixed * given.counts : mixed, {.out = form.hidden});
  });
  return residual(s, attended, placed("output.LayerNorm"), [&](const Value& h) {
    return feed_forward(s, h,
                        {.inner = form.inner,
                         .activation = form.activation,
                         .up = "intermediate.dense",
                         .down = "output.dense",
                         .bias = true});
  });
}

/// How DeBERTa-v2 scores distances.
struct DebertaV2Distances {
  int64_t hidden, heads;
  double epsilon;
  int64_t max_distance;
  int64_t position_buckets;  ///< far distances share so many rows; none above 0: a row each
  bool shares_projections;   ///< of the layer's queries and keys
  bool normed;               ///< the vectors go through a norm of the encoder
  bool by_key, by_query;     ///< the terms

  int64_t terms() const { return 1 + (by_key ? 1 : 0) + (by_query ? 1 : 0); }
  DistanceBuckets buckets() const {
    if (position_buckets <= 0) return {.span = max_distance};
    return {.span = position_buckets, .buckets = position_buckets, .max_distance = max_distance};
  }
  /// The learnt vectors of distances, f[2·span, hidden], as a layer takes them.
  Value vectors(const Scope& encoder) const {
    const Value table = (encoder / "rel_embeddings").weight("weight", {2 * buckets().span, hidden});
    return normed ? norm(encoder / "LayerNorm", table, {.epsilon = epsilon}) : table;
  }
  /// As of DebertaLayer. Source: DisentangledSelfAttention.
  DistanceAttending attending(const Scope& self, const Value& x, const Value& positions) const {
    const auto projected = [&](const char* name, const Value& from) {
      return linear(self / name, from, {.out = hidden});
    };
    const auto in_heads = [&](const char* name) { return split_heads(projected(name, x), heads); };
    DistanceTables tables;
    if (positions && by_key) tables.keys = projected(shares_projections ? "key_proj" : "pos_key_proj", positions);
    if (positions && by_query)
      tables.queries = projected(shares_projections ? "query_proj" : "pos_query_proj", positions);
    return {{in_heads("query_proj"), in_heads("key_proj"), in_heads("value_proj")}, tables};
  }
};

}  // namespace onnxport::family

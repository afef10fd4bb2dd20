// SPDX-License-Identifier: Apache-2.0
// Attention that knows how far apart two tokens are: scores that were made for every distance become scores for every
// key. Transformer-XL's shift, whose cost and number of nodes do not depend on a table.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// How many queries and keys meet, i64 scalars, and how far apart they stand; the last query stands at the last key,
/// unless told otherwise.
struct Spread {
  Value queries, keys;
  int64_t step = 1;  ///< how many keys every query stands behind the one before it
  Value first{};     ///< how many the first query stands behind the first key; absent: keys - queries
};

namespace detail {

/// Whether as many keys as queries meet, token by token: what the shift of all of them is cheapest for.
inline bool is_square(const Spread& spread) {
  return spread.step == 1 && !spread.first && spread.queries.id() == spread.keys.id();
}

}  // namespace detail

/// All distances at which a key may stand before its query, largest first, as i64[keys + step·queries], or, where
/// queries and keys are one value, i64[2·n + 1]. The first `step`, and there the last one as well, are more than there
/// are, so that rows can be shifted without padding.
inline Value distances(const Spread& spread) {
  Graph& g = spread.keys.graph();
  if (detail::is_square(spread)) {
    return g.op("Range", {spread.keys, g.integer(-1) - spread.keys, g.integer(-1)});
  }
  if (spread.step == 1 && !spread.first) return g.op("Range", {spread.keys, -spread.queries, g.integer(-1)});
  const Value first = spread.first ? spread.first : spread.keys - spread.queries;
  return g.op("Range", {first + spread.queries * g.integer(spread.step), first - spread.keys, g.integer(-1)});
}

/// Scores of every query at each of distances() -> those of every key: f[batch, heads, queries, distances]
/// -> f[batch, heads, queries, keys]. Entry (i, j) is x[i, step·(queries - i) + j].
/// Source: XLNetRelativeAttention.rel_shift_bnij and Funnel's _relative_shift_gather, transformers 5.24.
inline Value relative_shift(const Operand& x, const Spread& spread) {
  Graph& g = x.graph();
  const Value same = g.integers({0, 0}), rest = g.integers({-1}), queries = unsqueeze(spread.queries, {0});
  const Value by_queries = reshape(x, concat({same, rest, queries}, 0));
  // Of n queries at 2·n + 1 distances, entry (i, 0) is n·(2·i + 1) numbers behind the first: every second row of n,
  // which reads and writes no number that is not wanted.
  if (detail::is_square(spread)) return gather(by_queries, range(spread.queries) * g.integer(2) + g.integer(1), 2);
  // In rows of as many as there are queries, the first ones are what must go; then every row is shorter by as many.
  const Value rows = slice(by_queries, {2, spread.step});
  const Value shifted = reshape(rows, concat({same, queries, rest}, 0));
  return g.op("Slice", {shifted, g.integers({0}), unsqueeze(spread.keys, {0})}, {{"axes", {3}}});
}

}  // namespace onnxport::sdk

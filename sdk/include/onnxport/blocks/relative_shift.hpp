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

/// All distances at which a key may stand before its query, largest first, as i64[keys + step·queries]. The first
/// `step` are more than there are, so that rows can be shifted without padding.
inline Value distances(const Spread& spread) {
  Graph& g = spread.keys.graph();
  if (spread.step == 1 && !spread.first) return g.op("Range", {spread.keys, -spread.queries, g.integer(-1)});
  const Value first = spread.first ? spread.first : spread.keys - spread.queries;
  return g.op("Range", {first + spread.queries * g.integer(spread.step), first - spread.keys, g.integer(-1)});
}

/// Scores of every query at each of distances() -> those of every key: f[batch, heads, queries, keys + step·queries]
/// -> f[batch, heads, queries, keys]. Entry (i, j) is x[i, step·(queries - i) + j].
/// Source: XLNetRelativeAttention.rel_shift_bnij and Funnel's _relative_shift_gather, transformers 5.24.
inline Value relative_shift(const Operand& x, const Spread& spread) {
  Graph& g = x.graph();
  const Value same = g.integers({0, 0}), rest = g.integers({-1}), queries = unsqueeze(spread.queries, {0});
  // In rows of as many as there are queries, the first ones are what must go; then every row is shorter by as many.
  const Value rows = slice(reshape(x, concat({same, rest, queries}, 0)), {2, spread.step});
  const Value shifted = reshape(rows, concat({same, queries, rest}, 0));
  return g.op("Slice", {shifted, g.integers({0}), unsqueeze(spread.keys, {0})}, {{"axes", {3}}});
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Attention that knows how far apart two tokens are: scores that were made for every distance become scores for every
// key. Transformer-XL's shift, whose cost and number of nodes do not depend on a table.
#pragma once

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// How many queries and keys meet, i64 scalars; the last query stands at the last key.
struct Spread {
  Value queries, keys;
};

/// All distances at which a key may stand before its query, largest first: keys, keys - 1, …, 1 - queries, as
/// i64[keys + queries]. The first is one more than there is, so that rows can be shifted without padding.
inline Value distances(const Spread& spread) {
  Graph& g = spread.keys.graph();
  return g.op("Range", {spread.keys, -spread.queries, g.integer(-1)});
}

/// Scores of every query at each of distances() -> those of every key: f[batch, heads, queries, keys + queries]
/// -> f[batch, heads, queries, keys]. Entry (i, j) is x[i, queries - i + j].
/// Source: XLNetRelativeAttention.rel_shift_bnij, transformers 4.57.
inline Value relative_shift(const Value& x, const Spread& spread) {
  Graph& g = x.graph();
  const Value same = g.integers({0, 0}), rest = g.integers({-1}), queries = unsqueeze(spread.queries, {0});
  // In rows of as many as there are queries, the first row is what must go; then every row is one shorter.
  const Value rows = slice(reshape(x, concat({same, rest, queries}, 0)), {2, 1});
  const Value shifted = reshape(rows, concat({same, queries, rest}, 0));
  return g.op("Slice", {shifted, g.integers({0}), unsqueeze(spread.keys, {0})}, {{"axes", {3}}});
}

}  // namespace onnxport::sdk

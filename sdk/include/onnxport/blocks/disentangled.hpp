// SPDX-License-Identifier: Apache-2.0
// DeBERTa's disentangled attention: beside their contents, a query is scored against the key of a distance, and a key
// against the query of a distance.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <onnxport/blocks/relative_shift.hpp>
#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// Which row of a table of 2·span rows stands for a distance.
struct DistanceBuckets {
  int64_t span;         ///< rows for keys behind the query; as many are for those before
  int64_t buckets = 0;  ///< far distances share rows on a logarithmic scale, so many on both sides; 0: a row each
  int64_t max_distance = 0;
};

namespace detail {

/// The bucket of a distance above 0, with the reference's rounding to 32 bits. Source: make_log_bucket_position,
/// transformers 4.57 (modeling_deberta_v2.py).
inline int64_t log_bucket(int64_t distance, const DistanceBuckets& form) {
  const int64_t exact = form.buckets / 2;
  if (distance <= exact) return distance;
  const auto middle = static_cast<float>(exact);
  const auto scale = static_cast<float>(
      std::log(static_cast<float>(static_cast<double>(form.max_distance - 1) / static_cast<double>(exact))));
  const float share = std::log(static_cast<float>(distance) / middle) / scale;
  return static_cast<int64_t>(std::ceil(share * (middle - 1))) + exact;
}

}  // namespace detail

/// distances: i64[n] -> the rows of a table of 2·span, i64[n]. Throws CONFIG where the buckets leave no far distances.
inline Value rows_of_distances(const Operand& distances, const DistanceBuckets& form) {
  Graph& g = distances.graph();
  const auto within = [&](const Value& x, int64_t low, int64_t high) {
    return g.op("Min", {g.op("Max", {x, g.integer(low)}), g.integer(high)});
  };
  if (form.buckets <= 0) return within(distances + g.integer(form.span), 0, 2 * form.span - 1);
  constexpr int64_t farthest = 1 << 20;  // of the table of all distances
  const int64_t exact = form.buckets / 2;
  if (exact < 1 || form.max_distance - 1 <= exact || form.max_distance > farthest) {
    throw Error(ONNXPORT_CONFIG, "config fields position_buckets (" + std::to_string(form.buckets) +
                                     ") and max_relative_positions (" + std::to_string(form.max_distance) +
                                     ") leave no distances for the far buckets");
  }
  // Buckets by distance up to the one from which on all are the last.
  std::vector<int64_t> before{0};
  const int64_t last = exact == 1 ? exact : form.span;
  while (before.back() < last && static_cast<int64_t>(before.size()) <= farthest)
    before.push_back(detail::log_bucket(static_cast<int64_t>(before.size()), form));
  const int64_t far = static_cast<int64_t>(before.size()) - 1;
  std::vector<int64_t> rows;
  for (int64_t distance = -far; distance <= far; ++distance) {
    const int64_t bucket = before[static_cast<size_t>(std::abs(distance))];
    rows.push_back(std::clamp<int64_t>(form.span + (distance < 0 ? -bucket : bucket), 0, 2 * form.span - 1));
  }
  return gather(g.integers(rows), within(distances, -far, far) + g.integer(far));
}

/// What the layers of a text share: the rows for each of distances().
struct DistanceRows {
  Spread spread;
  Value behind;  ///< i64[distances]: of the distance from a key to a query behind it
  Value before;  ///< i64[distances]: of the opposite distance
};
inline DistanceRows distance_rows(const Operand& length, const DistanceBuckets& form) {
  const Spread spread{length, length};
  const Value far_first = distances(spread);
  return {spread, rows_of_distances(far_first, form), rows_of_distances(-far_first, form)};
}

/// What a layer scores distances with: f[2·span, heads·d] each, absent where it does not.
struct DistanceTables {
  Value keys{};     ///< for queries: "c2p"
  Value queries{};  ///< for keys: "p2c"
};
/// The scores beside those of contents: query, key: f[batch, heads, n, d] -> f[batch, heads, n, n]; absent where there
/// is no table. Source: DisentangledSelfAttention, transformers 4.57.
inline Value disentangled_scores(const Operand& query, const Value& key, const DistanceTables& tables,
                                 const DistanceRows& rows) {
  const auto scores_of = [&](const Value& x, const Value& table, const Value& row) {
    // What depends on weights alone is put in order once; rows follow the text's length.
    const Value by_head = transpose(reshape(table, {-1, x.fixed(1), x.fixed(3)}), {1, 0, 2});
    return relative_shift(matmul(x, transpose(gather(by_head, row, 1), {0, 2, 1})), rows.spread);
  };
  Value scores;
  if (tables.keys) scores = scores_of(query, tables.keys, rows.behind);
  if (tables.queries) {
    const Value by_key = transpose(scores_of(key, tables.queries, rows.before), {0, 1, 3, 2});
    scores = scores ? scores + by_key : by_key;
  }
  return scores;
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// T5's relative position bias: a learnt number for every head and bucket of distances.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

struct RelativeBias {
  int64_t buckets, max_distance, heads;
  bool bidirectional = true;
  /// Of the table, where it has another number of rows than there are buckets. Buckets beyond it, where the reference
  /// fails, take its last row.
  int64_t rows = 0;
};

/// The bucket of a key at `distance` places behind its query (before it: negative). Near distances have a bucket each,
/// farther ones share them on a logarithmic scale. Source: T5Attention._relative_position_bucket, transformers 4.57,
/// with its rounding to 32 bits.
inline int64_t relative_bucket(int64_t distance, const RelativeBias& options) {
  int64_t buckets = options.buckets, first = 0;
  if (options.bidirectional) {
    buckets /= 2;
    first = distance > 0 ? buckets : 0;
    distance = std::abs(distance);
  } else {
    distance = std::max<int64_t>(-distance, 0);
  }
  const int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  const auto scale =
      static_cast<float>(std::log(static_cast<double>(options.max_distance) / static_cast<double>(exact)));
  const float share = std::log(static_cast<float>(distance) / static_cast<float>(exact)) / scale;
  const auto beyond = static_cast<int64_t>(share * static_cast<float>(buckets - exact));
  return first + std::min(exact + beyond, buckets - 1);
}

/// distance: i64[...], of a key behind its query -> f32[heads, ...].
/// Weight: weight f[rows, heads]. Source: T5Attention.compute_bias.
inline Value bias_of_distances(const Scope& scope, const Value& distance, const RelativeBias& options) {
  const int64_t exact = (options.bidirectional ? options.buckets / 2 : options.buckets) / 2, far = options.max_distance;
  constexpr int64_t farthest = 1 << 20;  // of the table of all distances
  if (exact < 1 || far <= exact || far > farthest) {
    throw Error(ONNXPORT_CONFIG, "config fields relative_attention_num_buckets (" + std::to_string(options.buckets) +
                                     ") and relative_attention_max_distance (" + std::to_string(far) +
                                     ") leave no distances for the far buckets");
  }
  Graph& g = scope.graph();
  // All distances from -far to far; beyond these nothing changes.
  std::vector<int64_t> table;
  const int64_t count = options.rows > 0 ? options.rows : options.buckets;
  for (int64_t away = -far; away <= far; ++away) table.push_back(std::min(relative_bucket(away, options), count - 1));
  const Value rows = gather(scope.weight("weight", {count, options.heads}), g.integers(table));
  const Value near = g.op("Min", {g.op("Max", {distance, g.integer(-far)}), g.integer(far)});
  return gather(transpose(rows, {1, 0}), near + g.integer(far), 1);
}

/// The same between all places: queries: i64[query], keys: i64[total], both positions -> f32[1, heads, query, total].
inline Value relative_bias(const Scope& scope, const Value& queries, const Value& keys, const RelativeBias& options) {
  const Value distance = unsqueeze(keys.in(scope), {0}) - unsqueeze(queries.in(scope), {1});
  return unsqueeze(bias_of_distances(scope, distance, options), {0});
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// T5's relative position bias: a learnt number for every head and bucket of distances.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>
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

/// What each head has for distances of keys from their queries: table: f[heads, rows], distance: i64[…] -> f[heads, …].
/// Throws CONFIG, naming the fields `names` of buckets and of the largest distance, where these leave no far distances.
inline Value bias_of_distances(const Operand& table, const Value& distance, const RelativeBias& options,
                               const std::pair<const char*, const char*>& names) {
  const int64_t exact = (options.bidirectional ? options.buckets / 2 : options.buckets) / 2, far = options.max_distance;
  constexpr int64_t farthest = 1 << 20;  // of the table of all distances
  if (exact < 1 || far <= exact || far > farthest) {
    throw Error(ONNXPORT_CONFIG, std::string("config fields ") + names.first + " (" + std::to_string(options.buckets) +
                                     ") and " + names.second + " (" + std::to_string(far) +
                                     ") leave no distances for the far buckets");
  }
  Graph& g = table.graph();
  // All distances from -far to far; beyond these nothing changes.
  std::vector<int64_t> buckets;
  const int64_t count = table.fixed(1);
  for (int64_t at = -far; at <= far; ++at) buckets.push_back(std::min(relative_bucket(at, options), count - 1));
  const Value near = g.op("Min", {g.op("Max", {distance, g.integer(-far)}), g.integer(far)});
  return gather(gather(table, g.integers(buckets), 1), near + g.integer(far), 1);
}

/// The same of a layer: distance: i64[…] -> f32[heads, …]. Weight: weight f[rows, heads]. Source:
/// T5Attention.compute_bias.
inline Value bias_of_distances(const Scope& scope, const Operand& distance, const RelativeBias& options) {
  const int64_t count = options.rows > 0 ? options.rows : options.buckets;
  const Value table = transpose(scope.weight("weight", {count, options.heads}), {1, 0});
  return bias_of_distances(table, distance, options,
                           {"relative_attention_num_buckets", "relative_attention_max_distance"});
}

/// The same between all places: queries: i64[query], keys: i64[total], both positions -> f32[1, heads, query, total].
inline Value relative_bias(const Scope& scope, const Operand& queries, const Value& keys, const RelativeBias& options) {
  const Value distance = unsqueeze(keys.in(scope), {0}) - unsqueeze(queries.in(scope), {1});
  return unsqueeze(bias_of_distances(scope, distance, options), {0});
}

}  // namespace onnxport::sdk

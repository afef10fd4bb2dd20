// SPDX-License-Identifier: Apache-2.0
// What attention in LeViT and its relatives is made of: heads whose queries, keys and values stand together, and a
// learnt number for every distance between places of an image of one size.
// Source: LevitAttention and EfficientFormerSelfAttention, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// Every head's parts of these widths, one behind the other: f[batch, n, heads·(sum of parts)] -> f[batch, heads, n,
/// part] each.
inline std::vector<Value> split_parts_of_heads(const Operand& x, int64_t heads, const std::vector<int64_t>& parts) {
  const Value apart = transpose(reshape(x, {0, 0, heads, x.fixed(2) / heads}), {0, 2, 1, 3});
  return split(apart, 3, parts);
}

struct DistanceBias {
  int64_t heads;
  int64_t side;        ///< keys in a row of the image, and rows
  int64_t queries;     ///< the same of queries
  int64_t stride = 1;  ///< of the queries among the keys
};
/// What an attention adds to its scores: f[1, heads, queries², side²]. Distances are numbered in the order in which
/// they come up. Weights: attention_biases f[heads, distances].
inline Value distance_bias(const Scope& s, const DistanceBias& form) {
  std::map<std::pair<int64_t, int64_t>, int64_t> known;
  std::vector<int64_t> index;
  const int64_t keys = form.side * form.side, queries = form.queries * form.queries;
  for (int64_t from = 0; from < queries; ++from) {
    const int64_t row = from / form.queries * form.stride, column = from % form.queries * form.stride;
    for (int64_t to = 0; to < keys; ++to) {
      const std::pair distance{std::abs(row - to / form.side), std::abs(column - to % form.side)};
      index.push_back(known.emplace(distance, static_cast<int64_t>(known.size())).first->second);
    }
  }
  const Value table = s.weight("attention_biases", {form.heads, static_cast<int64_t>(known.size())});
  return reshape(gather(table, s.graph().integers(index), 1), {1, form.heads, queries, keys});
}

}  // namespace onnxport::sdk

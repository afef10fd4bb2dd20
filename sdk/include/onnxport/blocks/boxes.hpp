// SPDX-License-Identifier: Apache-2.0
// Where on its page a token stands, as vectors.
#pragma once

#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// Vectors of left, upper, right and lower edge, of height and of width, in this order, f[batch, n, width] each.
/// bbox: i64[batch, n, 4], x0, y0, x1, y1. Weights: x_, y_, h_ and w_position_embeddings.weight f[count, width].
/// Source: LayoutLMEmbeddings and LiltLayoutEmbeddings, transformers 4.57.
inline std::vector<Value> box_embeddings(const Scope& scope, const Value& bbox, const EmbeddingOptions& table) {
  std::vector<Value> edge;
  for (const Value& one : split(bbox, -1, {1, 1, 1, 1})) edge.push_back(squeeze(one, {-1}));
  const auto look_up = [&](const char* name, const Value& place) { return embedding(scope / name, place, table); };
  return {look_up("x_position_embeddings", edge[0]),           look_up("y_position_embeddings", edge[1]),
          look_up("x_position_embeddings", edge[2]),           look_up("y_position_embeddings", edge[3]),
          look_up("h_position_embeddings", edge[3] - edge[1]), look_up("w_position_embeddings", edge[2] - edge[0])};
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Where on its page a token stands, as vectors.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// The tables in which a box is looked up.
struct BoxTables {
  int64_t places;       ///< along an edge of a page
  int64_t edge_width;   ///< of an edge's vector
  int64_t width = 0;    ///< of the vector of a height or a width; 0: as an edge's
  int64_t longest = 0;  ///< heights and widths lie within 0 and this one; 0: as they are
};
/// Vectors of left, upper, right and lower edge, of height and of width, in this order, f[batch, n, …] each.
/// bbox: i64[batch, n, 4], x0, y0, x1, y1. Weights: x_, y_, h_ and w_position_embeddings.weight f[places, …].
/// Source: LayoutLMEmbeddings, LiltLayoutEmbeddings and LayoutLMv3TextEmbeddings, transformers 4.57.
inline std::vector<Value> box_embeddings(const Scope& scope, const Operand& bbox, const BoxTables& tables) {
  Graph& g = scope.graph();
  std::vector<Value> edge;
  for (const Value& one : split(bbox, -1, {1, 1, 1, 1})) edge.push_back(squeeze(one, {-1}));
  const auto at = [&](const char* name, const Value& place) {
    return embedding(scope / name, place, {tables.places, tables.edge_width});
  };
  const auto of = [&](const char* name, const Value& length) {
    const Value within =
        tables.longest == 0 ? length : g.op("Min", {g.op("Max", {length, g.integer(0)}), g.integer(tables.longest)});
    return embedding(scope / name, within, {tables.places, tables.width == 0 ? tables.edge_width : tables.width});
  };
  return {at("x_position_embeddings", edge[0]),           at("y_position_embeddings", edge[1]),
          at("x_position_embeddings", edge[2]),           at("y_position_embeddings", edge[3]),
          of("h_position_embeddings", edge[3] - edge[1]), of("w_position_embeddings", edge[2] - edge[0])};
}

}  // namespace onnxport::sdk

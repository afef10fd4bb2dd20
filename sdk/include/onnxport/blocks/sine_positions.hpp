// SPDX-License-Identifier: Apache-2.0
// Places in an image as sines and cosines: of a mask's rows and columns, and of points.
// Source: DetrSinePositionEmbedding, DeformableDetrSinePositionEmbedding and gen_sine_position_embeddings,
// transformers 4.57 (modeling_detr.py, modeling_deformable_detr.py, modeling_conditional_detr.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <utility>
#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

struct SineOptions {
  int64_t width;  ///< of a coordinate's vector, even
  double temperature = 10000;
  double turn = 2 * M_PI;  ///< the angle that a coordinate of 1 is for the first pair
};
/// Coordinates f[...] -> f[..., width], the sine and the cosine of each pair side by side.
inline Value sines_of(const Operand& places, const SineOptions& options) {
  Graph& g = places.graph();
  const int64_t pairs = options.width / 2, rank = static_cast<int64_t>(places.rank());
  std::vector<float> turns;
  for (int64_t i = 0; i < pairs; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(pairs);
    turns.push_back(static_cast<float>(options.turn / std::pow(options.temperature, share)));
  }
  const Value angles = unsqueeze(places, {rank}) * g.constant<float>(DType::f32, {pairs}, turns);
  const auto last = [&](const char* of) { return unsqueeze(g.op(of, {angles}), {rank + 1}); };
  const Value both = concat({last("Sin"), last("Cos")}, rank + 1);
  std::vector<int64_t> shape(static_cast<size_t>(rank), 0);
  shape.push_back(options.width);
  return reshape(both, shape);
}

/// Points f[batch, n, 2 or 4] (x, y and, of boxes, width and height) -> f[batch, n, coordinates·width], y before x.
inline Value sines_of_points(const Operand& points, const SineOptions& options) {
  std::vector<Value> each;
  for (int64_t i = 0; i < points.fixed(-1); ++i) each.push_back(sines_of(pick(points, -1, i), options));
  std::swap(each.at(0), each.at(1));
  return concat(each, -1);
}

struct MaskSineOptions {
  SineOptions sines;      ///< of a row, and of a column
  double centre = 0;      ///< taken off a place's number, which begins at 1: 0.5 in Deformable DETR
  double epsilon = 1e-6;  ///< added to how many places count
};
/// A mask f[batch, rows, columns], 1 where a place counts -> f[batch, rows·columns, 2·width]: each place's share of the
/// rows that count, and of the columns.
inline Value sine_positions(const Scope& scope, const Operand& mask, const MaskSineOptions& options) {
  const auto along = [&](int64_t side) {
    const Value counted = cumulative_sum(mask.in(scope), side);
    const Value place = options.centre == 0 ? counted : counted - options.centre;
    return sines_of(place / (slice(counted, {side, -1}) + options.epsilon), options.sines);
  };
  return reshape(concat({along(1), along(2)}, 3), {0, -1, 2 * options.sines.width});
}

}  // namespace onnxport::sdk

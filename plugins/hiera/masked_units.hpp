// SPDX-License-Identifier: Apache-2.0
// Which units of an image the masked autoencoder is shown, and how units become an image again. A unit's places stand a
// stride apart in the order of the layers: f[batch, places · units, n]. Source: HieraPatchEmbeddings, HieraEncoder and
// HieraDecoder, transformers 4.57 (modeling_hiera.py).
#pragma once

#include <vector>

#include <onnxport/plugin.hpp>
#include <onnxport/selection.hpp>

namespace hiera {

using namespace onnxport::sdk;

/// The units that are shown, `count` of them.
struct Shown {
  int64_t count;
  Value numbers;  ///< i64[batch, count], ascending
  Value restore;  ///< i64[batch, units]: where each unit went in the order of the noise
  Value marks;    ///< bool[batch, units]
};

/// Those with the least noise: f[batch, units].
inline Shown shown_by(const Value& noise, int64_t count) {
  Graph& g = noise.graph();
  const int64_t units = noise.fixed(1);
  const Value order = top_k(noise, units, {.largest = false}).indices;
  const Value restore = top_k(order, units, {.largest = false}).indices;
  const Value first = slice(order, {1, 0, count});
  return {count, top_k(first, count, {.largest = false}).values, restore, g.op("Less", {restore, g.integer(count)})};
}

/// The shown units alone: x: f[batch, places · units, n] -> f[batch, places · count, n].
inline Value units_shown(const Value& x, const Shown& shown, int64_t places) {
  const int64_t width = x.fixed(2);
  const Value apart = transpose(reshape(x, {0, places, -1, width}), {0, 2, 1, 3});
  const Value some = rows_at(reshape(apart, {0, -1, places * width}), shown.numbers);
  return reshape(transpose(reshape(some, {0, shown.count, places, width}), {0, 2, 1, 3}), {0, -1, width});
}

/// The place in a unit's order of each of its patches, row by row. Each pooling yet to come halves a side (where
/// pooling is 2), the nearest neighbours being pooled first and standing outermost.
inline std::vector<int64_t> row_by_row(const Extent& pooling, int64_t pools) {
  std::vector<Extent> places{Extent(0, 0)};
  Extent side = 1;
  for (int64_t i = 0; i < pools; ++i) {
    std::vector<Extent> finer;
    for (const Extent& place : places) {
      for (int64_t y = 0; y < pooling.height; ++y)
        for (int64_t x = 0; x < pooling.width; ++x)
          finer.emplace_back(place.height + y * side.height, place.width + x * side.width);
    }
    places = finer;
    side = {side.height * pooling.height, side.width * pooling.width};
  }
  std::vector<int64_t> order(places.size());
  for (size_t i = 0; i < places.size(); ++i)
    order[static_cast<size_t>(places[i].height * side.width + places[i].width)] = static_cast<int64_t>(i);
  return order;
}

/// Units as small images: x: f[batch, places · count, n] -> f[batch · count, n, rows, columns].
inline Value unit_images(const Value& x, const Extent& pooling, int64_t pools) {
  Extent side = 1;
  for (int64_t i = 0; i < pools; ++i) side = {side.height * pooling.height, side.width * pooling.width};
  const int64_t width = x.fixed(2);
  const Value apart = transpose(reshape(x, {0, side.area(), -1, width}), {0, 2, 3, 1});
  const Value ordered = gather(apart, x.graph().integers(row_by_row(pooling, pools)), 3);
  return reshape(ordered, {-1, width, side.height, side.width});
}

/// Places of units in the order of the image: x: any[batch, units, places, n] -> any[batch, units · places, n].
inline Value rows_of_image(const Value& x, const Extent& units, const Extent& unit) {
  const int64_t width = x.fixed(3);
  const Value apart = reshape(x, {0, units.height, units.width, unit.height, unit.width, width});
  return reshape(transpose(apart, {0, 1, 3, 2, 4, 5}), {0, -1, width});
}

}  // namespace hiera

// SPDX-License-Identifier: Apache-2.0
// Images of any size as tiles of one: a small copy of the whole, and the image itself, scaled to one of some sizes and
// cut. Which size it was, what of it is padding, and where each vector comes from is counted within the graph.
// Source: pack_image_features of LlavaNextModel and LlavaOnevisionModel, and select_best_resolution of
// image_processing_utils, transformers 5.24.
#pragma once

#include <algorithm>
#include <vector>

#include <onnxport/layers.hpp>
#include <onnxport/selection.hpp>

namespace llava_next {

using namespace onnxport::sdk;

struct Resolution {
  int64_t height, width;  // in pixels
};

struct AnyResolution {
  std::vector<Resolution> sizes;  // to which images are scaled, multiples of a tile
  int64_t tile;                   // pixels on a side
  int64_t side;                   // patches on a side of a tile
  int64_t most = 0;               // an image of many more patches than so many tiles have is scaled down; 0: none is

  /// Tiles of an image at most, with the small copy.
  int64_t most_tiles() const {
    int64_t count = 0;
    for (const Resolution& size : sizes) count = std::max(count, (size.height / tile) * (size.width / tile));
    return count + 1;
  }
};

namespace detail {

inline Value real(const Value& x) {
  return cast(x, DType::f64);
}
inline Value floor_of(const Value& x) {
  return cast(x.graph().op("Floor", {x}), DType::i64);
}

/// Which of the sizes each image was scaled to: that which shows most of it, the smallest of those, and the first.
/// height, width: i64[images] -> i64[images].
inline Value chosen_size(const AnyResolution& form, const Value& height, const Value& width) {
  Graph& g = height.graph();
  std::vector<int64_t> heights, widths, areas, places;
  for (const Resolution& size : form.sizes) {
    heights.push_back(size.height);
    widths.push_back(size.width);
    areas.push_back(size.height * size.width);
    places.push_back(static_cast<int64_t>(places.size()));
  }
  const int64_t rank = *std::max_element(areas.begin(), areas.end()) + 1;
  const auto count = static_cast<int64_t>(places.size());
  const Value h = real(unsqueeze(height, {1})), w = real(unsqueeze(width, {1}));
  const Value scale = g.op("Min", {real(g.integers(widths)) / w, real(g.integers(heights)) / h});
  const Value shown = g.op("Min", {floor_of(w * scale) * floor_of(h * scale), unsqueeze(height * width, {1})});
  const Value score = (shown * g.integer(rank) - g.integers(areas)) * g.integer(count) - g.integers(places);
  return pick(top_k(score, 1).indices, 1, 0);
}

/// What of a length is left once padding is taken off both ends, where `shown` of it is no padding: i64[images] each.
struct Kept {
  Value begin, count;
};
inline Kept kept(const Value& length, const Value& shown) {
  const Value begin = (length - shown) / 2;
  return {begin, length - begin * 2};
}

/// int(round(x, 7))
inline Value rounded(const Value& x) {
  return floor_of(x.graph().op("Round", {x * 1e7}) / 1e7);
}

/// Between which of `from` places one of `to` lies, and how far from the first.
struct Between {
  Value first, second;  // i64[n]
  Value share;          // f32[n], of the second
};
inline Between between(const Value& place, const Value& from, const Value& to) {
  Graph& g = place.graph();
  const Value step = cast(from, DType::f32) / cast(to, DType::f32);
  const Value at = relu((cast(place, DType::f32) + 0.5) * step - 0.5);
  const Value first = floor_of(at);
  return {first, g.op("Min", {first + g.integer(1), from - g.integer(1)}), at - cast(first, DType::f32)};
}

}  // namespace detail

/// vectors: f[images, tiles, n, width], of each image its small copy and its tiles row by row, then padding; sizes:
/// i64[images, 2], the height and width of the original in pixels; newline: f[width], which ends each row of patches
/// -> f[tokens, width], of all images one behind the other.
inline Value packed_vectors(const AnyResolution& form, const Value& vectors, const Value& sizes, const Value& newline) {
  using namespace detail;
  Graph& g = vectors.graph();
  const Value height = pick(sizes, 1, 0), width = pick(sizes, 1, 1);
  std::vector<int64_t> tile_rows, tile_columns;
  for (const Resolution& size : form.sizes) {
    tile_rows.push_back(size.height / form.tile);
    tile_columns.push_back(size.width / form.tile);
  }
  const Value chosen = chosen_size(form, height, width);
  const Value across = gather(g.integers(tile_columns), chosen);
  const Value all_rows = gather(g.integers(tile_rows), chosen) * form.side, all_columns = across * form.side;

  // The image fills its size in one direction; in the other there is padding.
  const Value h = real(height), w = real(width);
  const Value wide = g.op("Greater", {w / h, real(all_columns) / real(all_rows)});
  const Kept of_rows = kept(all_rows, where(wide, rounded(h * (real(all_columns) / w)), all_rows));
  const Kept of_columns = kept(all_columns, where(wide, all_columns, rounded(w * (real(all_rows) / h))));
  Value rows = of_rows.count, columns = of_columns.count;
  if (form.most > 0) {
    const double area = static_cast<double>(form.most * form.side * form.side);
    const Value ratio = sqrt(real(rows * columns) / area);
    const Value large = g.op("Greater", {ratio, g.scalar(1.1, DType::f64)});
    rows = where(large, floor_of(real(of_rows.count) / ratio), of_rows.count);
    columns = where(large, floor_of(real(of_columns.count) / ratio), of_columns.count);
  }

  // Of each token: its image, and its place behind those of the small copy, in rows that end in a newline.
  const Value of_tile = size_of(vectors, 2);
  const Value counts = of_tile + rows * (columns + 1), ends = cumulative_sum(counts, 0);
  const Value token = range(sum(counts, {0}));
  const Value image = sum(cast(g.op("LessOrEqual", {unsqueeze(ends, {0}), unsqueeze(token, {1})}), DType::i64), {1});
  const auto own = [&](const Value& x) { return gather(x, image); };
  const Value place = token - own(ends - counts), behind = g.op("Max", {place - of_tile, g.integer(0)});
  const Value is_copy = g.op("Less", {place, of_tile});
  const Value row = behind / (own(columns) + 1), column = behind - row * (own(columns) + 1);
  const Value is_newline = g.op("And", {logical_not(is_copy), equal(column, own(columns))});

  const Value tiles = size_of(vectors, 1), flat = reshape(vectors, {-1, vectors.fixed(3)});
  const auto patch = [&](const Value& r, const Value& s) {
    const Value y = own(of_rows.begin) + r, x = own(of_columns.begin) + s;
    const Value tile = (y / form.side) * own(across) + x / form.side + 1;
    const Value within = (y - y / form.side * form.side) * form.side + (x - x / form.side * form.side);
    return gather(flat, (image * tiles + tile) * of_tile + within);
  };
  const Value in_row = g.op("Min", {column, own(columns) - g.integer(1)});
  Value seen;
  if (form.most == 0) {
    seen = patch(row, in_row);
  } else {
    const Between y = between(row, own(of_rows.count), own(rows)),
                  x = between(in_row, own(of_columns.count), own(columns));
    const Value down = unsqueeze(y.share, {1}), right = unsqueeze(x.share, {1});
    const auto along = [&](const Value& r) { return patch(r, x.first) * (1.0 - right) + patch(r, x.second) * right; };
    seen = along(y.first) * (1.0 - down) + along(y.second) * down;
  }
  const Value copy = gather(flat, image * tiles * of_tile + g.op("Min", {place, of_tile - g.integer(1)}));
  return where(unsqueeze(is_copy, {1}), copy, where(unsqueeze(is_newline, {1}), newline, seen));
}

}  // namespace llava_next

// SPDX-License-Identifier: Apache-2.0
// Square windows over the tokens of an image of any size, at their place or shifted. What lies in which window is
// counted at run time once for all layers of a stage; a layer then moves its tokens by one gather there and one back.
// Source: window_partition, window_reverse and SwinLayer, transformers 4.57 (modeling_swin.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/resampling.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::sdk {

/// How many tokens an image has: i64 scalars.
struct TokenGrid {
  Value rows, columns;
};

/// The number of a token by its row and column; where there is none, the number behind the last: i64 of any shape.
inline Value token_at(const TokenGrid& grid, const Operand& row, const Value& column) {
  Graph& g = row.graph();
  const Value inside = g.op("And", {g.op("Less", {row, grid.rows}), g.op("Less", {column, grid.columns})});
  return where(inside, row * grid.columns + column, grid.rows * grid.columns);
}
/// Tokens f[batch, rows·columns, width] as an image f[batch, width, rows, columns].
inline Value image_of(const Operand& tokens, const TokenGrid& grid) {
  const Value row = unsqueeze(range(grid.rows) * grid.columns, {1}), column = unsqueeze(range(grid.columns), {0});
  return gather(transpose(tokens, {0, 2, 1}), row + column, 2);
}
/// Tokens f[batch, n, width] in another order, i64[m], in which n stands for zeros -> f[batch, m, width].
inline Value arrange(const Operand& tokens, const Value& order) {
  return gather(pad(tokens, {{1, 0, 1}}), order, 1);
}

/// The tokens of every 2×2 pixels side by side, for half as many rows and columns: f[batch, n, width] -> f[batch,
/// ⌈n/4⌉, 4·width]. Behind the edge there are zeros. Source: SwinPatchMerging, transformers 4.57, before its norm.
inline Value merge_neighbours(const Operand& tokens, const TokenGrid& grid) {
  Graph& g = tokens.graph();
  const Value rows = range((grid.rows + 1) / 2) * 2, columns = range((grid.columns + 1) / 2) * 2;
  const Value row = unsqueeze(rows, {1, 2}) + g.constant<int64_t>(DType::i64, {4}, {0, 1, 0, 1});
  const Value column = unsqueeze(columns, {0, 2}) + g.constant<int64_t>(DType::i64, {4}, {0, 0, 1, 1});
  const Value order = reshape(token_at(grid, row, column), {-1});
  return reshape(arrange(tokens, order), {0, -1, 4 * tokens.fixed(2)});
}

struct Windows {
  int64_t size;    ///< tokens on a side
  Value order{};   ///< i64[windows·size²]: the token at each place of the windows, row by row
  Value places{};  ///< i64[rows·columns]: where each token went
  /// f[windows, 1, size², size²]: 0 between tokens that are neighbours, below that between those that a shift brought
  /// together; absent where nothing is shifted.
  Value mask{};
};
struct WindowOptions {
  int64_t size;
  Value shift{};        ///< i64 scalar: how far windows begin behind the edge, in rows and in columns; absent: 0
  double apart = -100;  ///< of the mask
};
/// Windows that share an image out; what they lack to whole ones is padding.
inline Windows windows_over(const TokenGrid& grid, const WindowOptions& options) {
  Graph& g = grid.rows.graph();
  const int64_t w = options.size;
  const Value height = grid.rows + missing_to_multiple(grid.rows, w);
  const Value width = grid.columns + missing_to_multiple(grid.columns, w);
  const auto shifted = [&](const Value& place, const Value& length, bool back) {
    if (!options.shift) return place;
    return g.op("Mod", {back ? place - options.shift : place + options.shift, length});
  };
  // Axes: window by row, window by column, row and column within.
  const Value row = reshape(range(height), {-1, 1, w, 1}), column = reshape(range(width), {1, -1, 1, w});
  Windows made{.size = w};
  made.order = reshape(token_at(grid, shifted(row, height, false), shifted(column, width, false)), {-1});

  const Value y = shifted(unsqueeze(range(grid.rows), {1}), height, true);
  const Value x = shifted(unsqueeze(range(grid.columns), {0}), width, true);
  const Value side = g.integer(w);
  const auto window = [&](const Value& place) { return g.op("Div", {place, side}); };
  const auto within = [&](const Value& place) { return g.op("Mod", {place, side}); };
  const Value number = window(y) * window(width) + window(x);
  const auto step = static_cast<double>(w);
  made.places = reshape(number * (step * step) + within(y) * step + within(x), {-1});

  if (!options.shift) return made;
  const auto region = [&](const Value& place, const Value& length) {
    const auto from = [&](const Value& begin) { return cast(g.op("GreaterOrEqual", {place, begin}), DType::i64); };
    return from(length - step) + from(length - options.shift);
  };
  const Value regions = reshape(region(row, height) * 3 + region(column, width), {-1, w * w});
  const Value together = equal(unsqueeze(regions, {1}), unsqueeze(regions, {2}));
  made.mask = unsqueeze(where(together, g.scalar(0), g.scalar(options.apart)), {1});
  return made;
}

/// f[batch, rows·columns, width] -> f[batch·windows, size², width]
inline Value into_windows(const Operand& tokens, const Windows& windows) {
  return reshape(arrange(tokens, windows.order), {-1, windows.size * windows.size, tokens.fixed(2)});
}
/// And back, where `tokens` has the shape that they had.
inline Value out_of_windows(const Operand& x, const Windows& windows, const Value& tokens) {
  Graph& g = x.graph();
  const Value whole = reshape(x, concat({shape_of(tokens, 0, 1), g.integers({-1, x.fixed(2)})}, 0));
  return reshape(gather(whole, windows.places, 1), shape_of(tokens, 0, 3));
}
/// What an attention within windows adds to its scores: `bias`, f[1, heads, size², size²], and the mask, for windows
/// x: f[batch·windows, size², width] of images tokens: f[batch, …].
inline Value bias_within(const Windows& windows, const Operand& bias, const Value& x, const Value& tokens) {
  if (!windows.mask) return bias;
  Graph& g = x.graph();
  const int64_t n = windows.size * windows.size;
  const Value each = concat({shape_of(tokens, 0, 1), g.integers({1, 1, 1, 1})}, 0);
  const Value masks = g.op("Expand", {unsqueeze(windows.mask, {0}), each});
  return bias + reshape(masks, concat({shape_of(x, 0, 1), g.integers({1, n, n})}, 0));
}

/// Which distance two places of a window have, as a row of a table of all: i64[size²·size²].
/// Source: create_relative_position_index of SwinSelfAttention.
inline Value window_distances(Graph& g, int64_t size) {
  std::vector<int64_t> index;
  for (int64_t from = 0; from < size * size; ++from) {
    for (int64_t to = 0; to < size * size; ++to) {
      const int64_t rows = from / size - to / size + size - 1, columns = from % size - to % size + size - 1;
      index.push_back(rows * (2 * size - 1) + columns);
    }
  }
  return g.integers(index);
}
/// A table f[(2·size - 1)², heads] of numbers by distance -> f[1, heads, size², size²].
inline Value window_bias(const Operand& table, int64_t size) {
  const Value rows = gather(table, window_distances(table.graph(), size));
  return unsqueeze(transpose(reshape(rows, {size * size, size * size, table.fixed(1)}), {2, 0, 1}), {0});
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Squares that share an image f[batch, rows, columns, n] out, at their place. What they lack to whole ones is padded
// below and on the right. An image of one size costs no counting at run time.
// Source: SamVisionLayer.window_partition and window_unpartition, transformers 4.57 (modeling_sam.py); the same of
// modeling_sam2.py, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <vector>

#include <onnxport/resampling.hpp>

namespace onnxport::sdk {

namespace detail {

inline bool is_sized(const Value& image) {
  return image.shape()[1].is_static() && image.shape()[2].is_static();
}
inline int64_t squares_along(const Value& image, int64_t axis, int64_t side) {
  return (image.fixed(axis) + side - 1) / side;
}
/// The same of an image of any size: i64[2], squares in a column and in a row.
inline Value squares_over(const Scope& s, const Value& image, int64_t side) {
  Graph& g = s.graph();
  const auto along = [&](int64_t axis, const char* name) {
    const Value count = g.op("Div", {size_of(image, axis) + g.integer(side - 1), g.integer(side)});
    return unsqueeze(named_length(s / name, count), {0});
  };
  return concat({along(1, "squares_down"), along(2, "squares_across")}, 0);
}

}  // namespace detail

/// Tokens f[batch, rows·columns, n] as an image of as many rows and columns as `like` has: f[batch, rows, columns, …]
/// -> f[batch, rows, columns, n].
inline Value image_like(const Value& tokens, const Value& like) {
  const int64_t n = tokens.fixed(2);
  if (detail::is_sized(like)) return reshape(tokens, {0, like.fixed(1), like.fixed(2), n});
  return reshape(tokens, concat({shape_of(like, 0, 3), tokens.graph().integers({n})}, 0));
}

/// f[batch, rows, columns, n] -> f[batch·squares, side, side, n]
inline Value into_squares(const Scope& s, const Value& image, int64_t side) {
  Graph& g = image.graph();
  const int64_t n = image.fixed(3);
  Value apart;
  if (detail::is_sized(image)) {
    const int64_t down = detail::squares_along(image, 1, side), across = detail::squares_along(image, 2, side);
    std::vector<Pad> missing;
    for (const auto& [axis, count] : {std::pair<int64_t, int64_t>{1, down}, {2, across}}) {
      if (const int64_t more = count * side - image.fixed(axis); more > 0) missing.push_back({axis, 0, more});
    }
    apart = reshape(missing.empty() ? image : pad(image, missing), {0, down, side, across, side, n});
  } else {
    const Value sizes = shape_of(image, 1, 3), counts = detail::squares_over(s, image, side);
    const Value missing = counts * g.integer(side) - sizes;
    const auto behind = [&](int64_t i) { return OpenPad{1 + i, g.integer(0), pick(missing, 0, i)}; };
    const Value whole = pad(image, std::vector<OpenPad>{behind(0), behind(1)});
    const auto count = [&](int64_t i) { return slice(counts, {0, i, i + 1}); };
    const Value length = g.integers({side});
    apart = reshape(whole, concat({shape_of(image, 0, 1), count(0), length, count(1), length, g.integers({n})}, 0));
  }
  return reshape(transpose(apart, {0, 1, 3, 2, 4, 5}), {-1, side, side, n});
}

/// And back, to as many images, rows and columns as `like` has: f[batch, rows, columns, …].
inline Value out_of_squares(const Scope& s, const Value& x, const Value& like) {
  Graph& g = x.graph();
  const int64_t side = x.fixed(1), n = x.fixed(3);
  if (detail::is_sized(like)) {
    const int64_t down = detail::squares_along(like, 1, side), across = detail::squares_along(like, 2, side);
    const Value apart = transpose(reshape(x, {-1, down, across, side, side, n}), {0, 1, 3, 2, 4, 5});
    Value image = reshape(apart, {0, down * side, across * side, n});
    if (down * side > like.fixed(1)) image = slice(image, {1, 0, like.fixed(1)});
    if (across * side > like.fixed(2)) image = slice(image, {2, 0, like.fixed(2)});
    return image;
  }
  const Value batch = shape_of(like, 0, 1), counts = detail::squares_over(s, like, side);
  const Value apart = reshape(x, concat({batch, counts, g.integers({side, side, n})}, 0));
  const Value whole = concat({batch, counts * g.integer(side), g.integers({n})}, 0);
  const Value image = reshape(transpose(apart, {0, 1, 3, 2, 4, 5}), whole);
  return g.op("Slice", {image, g.integers({0, 0}), shape_of(like, 1, 3)}, {{"axes", {1, 2}}});
}

}  // namespace onnxport::sdk

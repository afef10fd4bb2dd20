// SPDX-License-Identifier: Apache-2.0
// Attention to a few samples of an image, whose places follow from the query, at several scales.
// Source: DeformableDetrMultiscaleDeformableAttention, RTDetrV2MultiscaleDeformableAttention and
// DFineMultiscaleDeformableAttention, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/layers.hpp>
#include <onnxport/resampling.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::sdk {

/// An image among the tokens of several, which stand behind each other.
struct ImageLevel {
  Value size;        ///< i64[2], rows and columns
  Value begin, end;  ///< i64[1], of its tokens
};
/// Images of several scales as tokens: f[batch, n, …, …] each -> f[batch, Σ rows·columns, n].
struct TokenLevels {
  Value tokens;
  std::vector<ImageLevel> levels;
};
inline TokenLevels token_levels(const std::vector<Value>& images) {
  Graph& g = images.at(0).graph();
  TokenLevels made;
  std::vector<Value> tokens;
  Value begin = g.integers({0});
  for (const Value& image : images) {
    tokens.push_back(tokens_of(image));
    const Value end = begin + shape_of(tokens.back(), 1, 2);
    made.levels.push_back({shape_of(image, 2, 4), begin, end});
    begin = end;
  }
  made.tokens = concat(tokens, 1);
  return made;
}
/// The tokens of one of the images: f[batch, n, width] -> f[batch, rows·columns, width].
inline Value tokens_at(const Operand& tokens, const ImageLevel& level) {
  return tokens.graph().op("Slice", {tokens, level.begin, level.end}, {{"axes", {1}}});
}

/// The middle of each place of an image, x and y, in pixels: f32[rows·columns, 2].
inline Value middles_of(const Scope& s, const ImageLevel& level) {
  const auto along = [&](int64_t side) { return cast(range(pick(level.size.in(s), 0, side)), DType::f32) + 0.5; };
  const auto over_image = [&](const Value& x) { return s.graph().op("Expand", {x, level.size}); };
  const Value x = over_image(unsqueeze(along(1), {0})), y = over_image(unsqueeze(along(0), {1}));
  return reshape(concat({unsqueeze(x, {2}), unsqueeze(y, {2})}, 2), {-1, 2});
}

struct DeformableAttention {
  int64_t heads;
  std::vector<int64_t> points;  ///< samples of a head, at each level
  /// How far a sample lies from the middle of a box, in half boxes of the model's making.
  double box_share = 0.5;
  bool nearest = false;  ///< samples are pixels, and those outside the outermost ones; else they lie between pixels
  bool projects = true;  ///< a layer before the values, and one behind the result
  /// The weight f[Σ points] that tells of each sample how many its level has: 1/points; empty: it is counted.
  std::string shares{};
};
/// What it attends to.
struct Deformed {
  Value memory;                    ///< f[batch, Σ rows·columns, width]
  std::vector<ImageLevel> levels;  ///< as many as there are in `points`
  /// Where a query looks, as shares of the image: x and y or a box's middle, width and height, at each level or at all:
  /// f[batch, n, levels or 1, 2 or 4].
  Value references;
  Value mask{};  ///< i64[batch, Σ rows·columns]: 1 where a token counts
};

namespace detail {

/// f[batch, heads, …] -> f[batch·heads, …]
inline Value heads_first(const Operand& x) {
  const auto rank = static_cast<int64_t>(x.rank());
  return reshape(x, concat({x.graph().integers({-1}), shape_of(x, 2, rank)}, 0));
}

/// The pixels nearest to places between 0 and 1: f[batch·heads, d, rows, columns], f[batch·heads, n, points, 2] ->
/// f[batch·heads, d, n, points].
inline Value nearest_pixels(const Operand& image, const Value& size, const Value& places) {
  Graph& g = image.graph();
  const auto cell = [&](int64_t coordinate, int64_t side) {
    const Value length = pick(size, 0, side);
    const Value rounded = cast(pick(places, 3, coordinate) * cast(length, DType::f32) + 0.5, DType::i64);
    return g.op("Min", {g.op("Max", {rounded, g.integer(0)}), length - g.integer(1)});
  };
  const Value pixel = cell(1, 0) * pick(size, 0, 1) + cell(0, 1);  // i64[batch·heads, n, points]
  const Value chosen =
      g.op("GatherND", {tokens_of(image), unsqueeze(reshape(pixel, {0, -1}), {2})}, {{"batch_dims", 1}});
  const Value shape = concat({shape_of(image, 0, 2), shape_of(pixel, 1, 3)}, 0);
  return reshape(transpose(chosen, {0, 2, 1}), shape);
}

}  // namespace detail

/// x: f[batch, n, width] -> the same. Weights: sampling_offsets and attention_weights, value_proj and output_proj where
/// it projects.
inline Value attend_deformed(const Scope& s, const Operand& x, const Deformed& to, const DeformableAttention& form) {
  Graph& g = s.graph();
  const int64_t width = x.fixed(-1), heads = form.heads;
  int64_t points = 0;
  for (const int64_t count : form.points) points += count;

  Value values = form.projects ? linear(s / "value_proj", to.memory, {.out = width}) : to.memory;
  if (to.mask) values = values * unsqueeze(cast(to.mask, DType::f32), {2});
  values = detail::heads_first(split_heads(values, heads));  // f[batch·heads, Σ rows·columns, d]
  const Value offsets =
      reshape(linear(s / "sampling_offsets", x, {.out = heads * points * 2}), {0, 0, heads, points, 2});
  const std::vector<Value> of_level = split(offsets, 3, form.points);
  std::vector<Value> shares;
  if (!form.shares.empty()) shares = split(unsqueeze(s.weight(form.shares, {points}), {1}), 0, form.points);
  std::vector<Value> samples;
  for (size_t i = 0; i < form.points.size(); ++i) {
    const ImageLevel& level = to.levels.at(i);
    const bool shared = to.references.shape()[2].size == 1;
    const Value at = unsqueeze(pick(to.references, 2, shared ? 0 : static_cast<int64_t>(i)), {2, 3});
    Value places;
    if (at.fixed(-1) == 4) {
      const std::vector<Value> box = split(at, -1, {2, 2});
      const double each = form.box_share / static_cast<double>(form.points[i]);
      const Value far = of_level[i] * box[1];
      places = box[0] + (shares.empty() ? far * each : far * shares[i] * form.box_share);
    } else {
      const Value sides = cast(gather(level.size, g.integers({1, 0})), DType::f32);
      places = at + of_level[i] / sides;
    }
    const Value image = image_of(tokens_at(values, level), level.size);
    places = detail::heads_first(transpose(places, {0, 2, 1, 3, 4}));
    samples.push_back(form.nearest ? detail::nearest_pixels(image, level.size, places)
                                   : grid_sample(image, places * 2.0 - 1.0));
  }
  const Value weights =
      softmax(reshape(linear(s / "attention_weights", x, {.out = heads * points}), {0, 0, heads, points}));
  const Value each = unsqueeze(detail::heads_first(transpose(weights, {0, 2, 1, 3})), {1});
  const Value mixed = sum(concat(samples, 3) * each, {3});  // f[batch·heads, d, n]
  const Value merged = reshape(mixed, concat({g.integers({-1, width}), shape_of(x, 1, 2)}, 0));
  const Value y = transpose(merged, {0, 2, 1}).in(s);
  return form.projects ? linear(s / "output_proj", y, {.out = width}) : y.in(s.parent());
}

}  // namespace onnxport::sdk

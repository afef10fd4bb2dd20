// SPDX-License-Identifier: Apache-2.0
// Patches of several images or videos, of any sizes, one behind the other in one row. Patches that will become one
// token stand together: within a frame they go block by block of merge × merge. Source: get_vision_position_ids,
// get_vision_cu_seqlens and get_vision_window_index, transformers 5.24 (vision_utils.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <vector>

#include <onnxport/layers.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::sdk {

/// Of each patch, i64[patches]: where it lies, and in which image and frame.
struct PackedPlaces {
  Value image, frame;   ///< frames are counted within the image
  Value row, column;    ///< within the frame
  Value height, width;  ///< of its frame, in patches
};

/// grid: i64[images, 3], the frames, rows and columns of each; count: how many patches there are, an i64 scalar.
inline PackedPlaces packed_places(const Scope& scope, const Operand& grid, const Value& count, int64_t merge) {
  Graph& g = scope.graph();
  const auto over = [&](const Value& a, const Value& b) { return g.op("Div", {a, b}); };
  const auto rest = [&](const Value& a, const Value& b) { return g.op("Mod", {a, b}); };
  const Value sizes = pick(grid.in(scope), 1, 0) * pick(grid, 1, 1) * pick(grid, 1, 2);  // i64[images]
  const Value ends = cumulative_sum(sizes, 0);
  const Value patch = range(count).in(scope);
  // The image of a patch is the number of those that end before it.
  const Value behind = g.op("LessOrEqual", {unsqueeze(ends, {0}), unsqueeze(patch, {1})});
  PackedPlaces at;
  at.image = sum(cast(behind, DType::i64), {1});
  const Value begin = gather(ends - sizes, at.image);
  at.height = gather(pick(grid, 1, 1), at.image);
  at.width = gather(pick(grid, 1, 2), at.image);
  const Value within = patch - begin, area = at.height * at.width;
  at.frame = over(within, area);
  const Value place = rest(within, area), side = g.integer(merge), block = g.integer(merge * merge);
  const Value blocks = over(at.width, side), number = over(place, block);
  at.row = over(number, blocks) * side + rest(over(place, side), side);
  at.column = rest(number, blocks) * side + rest(place, side);
  return at;
}

/// What a head of that size is turned by: a quarter of it by rows and a quarter by columns, each with its pair in the
/// other half: f[1, patches, head size/2]. Source: Qwen2VLVisionRotaryEmbedding and its twins, transformers 5.24.
inline Angles axial_angles(const Scope& scope, const PackedPlaces& at, int64_t head_size, double theta) {
  Graph& g = scope.graph();
  const int64_t half = head_size / 2;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < half; i += 2)
    frequencies.push_back(static_cast<float>(std::pow(theta, -static_cast<double>(i) / static_cast<double>(half))));
  const Value table = g.constant<float>(DType::f32, {static_cast<int64_t>(frequencies.size())}, frequencies);
  const auto turns = [&](const Value& place) { return unsqueeze(cast(place, DType::f32), {1}) * table; };
  const Value both = unsqueeze(concat({turns(at.row.in(scope)), turns(at.column.in(scope))}, 1), {0});
  return {g.op("Cos", {both}), g.op("Sin", {both})};
}

/// How patches are cut: some frames of a square each.
struct PackedPatch {
  int64_t channels = 3, frames = 2, side = 14;
  int64_t pixels() const { return channels * frames * side * side; }
};
/// pixels: f[patches, channels · frames · side²] -> f[patches, width]. Weights: weight f[width, channels, frames, side,
/// side], bias f[width]. Source: the Conv3d of Qwen2VL's PatchEmbed, which covers a patch.
inline Value embed_patches(const Scope& scope, const Operand& pixels, const PackedPatch& patch,
                           const LinearOptions& options) {
  const Value kernel = scope.weight("weight", {options.out, patch.channels, patch.frames, patch.side, patch.side});
  std::vector<Value> inputs{pixels, reshape(kernel, {options.out, patch.pixels()})};
  if (options.bias) inputs.push_back(scope.weight("bias", {options.out}));
  return scope.composite("Linear", inputs).in(scope.parent());
}

/// What attention is given so that a patch sees those alone of which all of these numbers are its own: i64[patches]
/// each -> f32[1, 1, patches, patches].
inline Value seen_where_equal(const Scope& scope, const std::vector<Value>& numbers) {
  Graph& g = scope.graph();
  Value same;
  for (const Value& number : numbers) {
    const Value equal_ones = equal(unsqueeze(number, {1}), unsqueeze(number, {0}));
    same = same ? g.op("And", {same, equal_ones}) : equal_ones;
  }
  return unsqueeze(where(same.in(scope), g.scalar(0), g.scalar(-3.4028234663852886e38)), {0, 1});
}

}  // namespace onnxport::sdk

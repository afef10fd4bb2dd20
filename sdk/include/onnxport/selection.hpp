// SPDX-License-Identifier: Apache-2.0
// Choosing among entries, putting entries back, and other ways to look at an axis.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

struct TopK {
  Value values, indices;  ///< f[..., k, ...] and i64 of the same shape, largest (or smallest) first
};
struct TopKOptions {
  int64_t axis = -1;
  bool largest = true;
};
/// Source: torch.topk.
inline TopK top_k(const Value& x, int64_t k, const TopKOptions& options = {}) {
  const auto both =
      x.graph().add({"", "TopK", {x}, {{"k", k}, {"axis", options.axis}, {"largest", options.largest}}, 2});
  return {both[0], both[1]};
}
/// The same of a number that only the run knows: an i64 scalar, at most the axis's length.
inline TopK top_k(const Value& x, const Value& k, const TopKOptions& options = {}) {
  const auto both =
      x.graph().add({"", "TopK", {x, unsqueeze(k, {0})}, {{"axis", options.axis}, {"largest", options.largest}}, 2});
  return {both[0], both[1]};
}

/// Rows of each entry of a batch: x: f[batch, n, width], places: i64[batch, k] -> f[batch, k, width].
inline Value rows_at(const Operand& x, const Value& places) {
  return x.graph().op("GatherND", {x, unsqueeze(places, {2})}, {{"batch_dims", 1}});
}

/// ids: i64[...] -> f32[..., count], 1 where an entry's number is its place. Source: torch.nn.functional.one_hot.
inline Value one_hot(const Operand& ids, int64_t count) {
  Graph& g = ids.graph();
  return cast(equal(unsqueeze(ids, {-1}), range(g.integer(count))), DType::f32);
}

/// x with entries of `source`, one after the other, where the mask (bool, of x's leading shape) is true:
/// x: f[..., width], mask: bool[...], source: f[n, width] -> f[..., width]. Source: Tensor.masked_scatter, of rows.
inline Value masked_scatter(const Operand& x, const Value& mask, const Value& source) {
  Graph& g = x.graph();
  const Value counted = cumulative_sum(reshape(cast(mask, DType::i64), {-1}), 0) - g.integer(1);
  const Value rows = gather(source, g.op("Max", {counted, g.integer(0)}));
  const Value placed = reshape(rows, shape_of(x, 0, static_cast<int64_t>(x.rank())));
  return where(unsqueeze(mask, {-1}), placed, x);
}

/// x with 0 where it is no number. Source: torch.nan_to_num, of NaN alone.
inline Value nan_to_zero(const Operand& x) {
  Graph& g = x.graph();
  return where(g.op("IsNaN", {x}), g.scalar(0, x.dtype()), x);
}

/// The halves of an axis, the first times the sigmoid of the second: f[..., 2·n, ...] -> f[..., n, ...].
/// Source: torch.nn.functional.glu.
inline Value glu(const Operand& x, int64_t axis = -1) {
  const int64_t half = x.fixed(axis) / 2;
  const std::vector<Value> halves = split(x, axis, {half, half});
  return halves[0] * sigmoid(halves[1]);
}

/// An axis backwards. Source: torch.flip.
inline Value flip(const Operand& x, int64_t axis) {
  return x.graph().op(
      "Slice", {x},
      {{"starts", {-1}}, {"ends", {std::numeric_limits<int64_t>::min()}}, {"axes", {axis}}, {"steps", {-1}}});
}

/// Every entry so many places further along an axis, the last ones at the front; a shift below 0 turns the other way.
/// Its size must not be below the axis's length. Source: torch.roll.
inline Value roll(const Operand& x, int64_t axis, int64_t shift) {
  if (shift == 0) return x;
  return concat({slice(x, {axis, -shift}), slice(x, {axis, 0, -shift})}, axis);
}

struct WindowsOptions {
  int64_t axis;
  int64_t size, step;
};
/// Windows of an axis, which may overlap: f[..., n, ...] -> f[..., ⌊(n - size)/step⌋ + 1, size, ...], the window's own
/// axis behind that of the windows. Source: Tensor.unfold, which has it last.
inline Value windows_of(const Operand& x, const WindowsOptions& options) {
  Graph& g = x.graph();
  const Value last = size_of(x, options.axis) - g.integer(options.size);
  const Value count = g.op("Div", {last, g.integer(options.step)}) + g.integer(1);
  const Value first = unsqueeze(range(count) * g.integer(options.step), {1});
  return gather(x, first + range(g.integer(options.size)), options.axis);
}

}  // namespace onnxport::sdk

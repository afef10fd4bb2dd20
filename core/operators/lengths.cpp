// SPDX-License-Identifier: Apache-2.0
// Operators that tell lengths, and those that count.
#include <fmt/format.h>

#include <algorithm>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/evaluation.hpp"
#include "core/operators/place.hpp"

namespace onnxport::ir {
namespace {

void infer_shape(Inference& x) {
  const Shape& from = x.shape(0);
  const auto rank = static_cast<int64_t>(from.size());
  auto clamp = [rank](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(x.node.integer("start", 0)), end = clamp(x.node.integer("end", rank));
  Shape contents(from.begin() + start, from.begin() + std::max(start, end));
  set(x, DType::i64, {Dim(static_cast<int64_t>(contents.size()))});
  set_contents(x, std::move(contents));
}

void infer_size(Inference& x) {
  const Dim dim = x.shape(0)[axis_index(x.node.integer("axis", 0), x.shape(0).size())];
  set(x, DType::i64, {});
  set_contents(x, {dim});
}

void infer_range(Inference& x) {
  for (size_t i = 0; i < 3; ++i) require_rank(x, i, 0);
  const auto& start = x.in(0).contents;
  const auto& limit = x.in(1).contents;
  const auto& delta = x.in(2).contents;
  Dim length = Dim::symbol("length of " + place_of(x.node));
  if (start && limit && delta && (*delta)[0].is_static() && (*delta)[0].size() != 0) {
    const Dim span = (*limit)[0] - (*start)[0];
    const int64_t step = (*delta)[0].size();
    if (step == 1) length = span;
    if (span.is_static()) length = Dim(std::max<int64_t>(0, (span.size() + step - (step > 0 ? 1 : -1)) / step));
  }
  set(x, dtype_of(x), {length});
}

Results length_of_axis(Builder& b) {
  const ValueId x = b.node().input(0);
  const auto rank = static_cast<int64_t>(b.shape(x).size());
  const int64_t axis = b.node().integer("axis", 0);
  const auto at = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  if (b.shape(x)[at].is_static()) return {b.integer(b.shape(x)[at].size())};
  return {b.op("Squeeze", {b.length(x, at)}, {{"axes", std::vector<int64_t>{0}}})};
}

/// A part of a shape: constant where it is fixed; Shape has start and end from opset 15, a Slice behind it does before.
Results shape(Builder& b) {
  const ValueId x = b.node().input(0);
  const auto& dims = b.shape(x);
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [rank](int64_t at) { return std::min(std::max<int64_t>(at < 0 ? at + rank : at, 0), rank); };
  const int64_t start = clamp(b.node().integer("start", 0)),
                end = std::max(start, clamp(b.node().integer("end", to_end)));
  std::vector<int64_t> fixed;
  for (int64_t axis = start; axis < end; ++axis) {
    if (!dims[static_cast<size_t>(axis)].is_static()) break;
    fixed.push_back(dims[static_cast<size_t>(axis)].size());
  }
  if (static_cast<int64_t>(fixed.size()) == end - start) return {b.integers(std::move(fixed))};
  const bool whole = start == 0 && end == rank;
  if (!whole && b.opset() >= 15) return b.keep({{"start", start}, {"end", end}});
  const ValueId all = b.keep({})[0];
  if (whole) return {all};
  return {b.op("Slice", {all},
               {{"starts", std::vector<int64_t>{start}},
                {"ends", std::vector<int64_t>{end}},
                {"axes", std::vector<int64_t>{0}},
                {"steps", std::vector<int64_t>{1}}})};
}

/// x where j - i ≥ k (upper) or ≤ k (lower), else 0.
Results trilu(Builder& b) {
  const ValueId x = b.node().input(0);
  const size_t rank = b.shape(x).size();
  const auto positions = [&](size_t axis) {
    const ValueId length = b.op("Squeeze", {b.length(x, axis)}, {{"axes", std::vector<int64_t>{0}}});
    return b.op("Range", {b.integer(0), length, b.integer(1)});
  };
  const ValueId rows = b.op("Add", {b.unsqueeze(positions(rank - 2), {1}), b.integer(b.node().integer("k", 0))});
  const ValueId columns = b.unsqueeze(positions(rank - 1), {0});
  const ValueId keep = b.op(b.node().integer("upper", 1) != 0 ? "GreaterOrEqual" : "LessOrEqual", {columns, rows});
  return {b.op("Where", {keep, x, b.scalar(0.0, b.dtype(x))})};
}

}  // namespace

const std::vector<Operator>& length_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "Shape",
       .infer = infer_shape,
       .attributes = {{"start", integer, "0"}, {"end", integer, "the rank"}},
       .lowering = {{shape}},
       .documentation = {"x", "i64 1-D"}},
      {.name = "Range",
       .inputs = {3},
       .infer = infer_range,
       .fold = {.evaluate = evaluate_range},
       .documentation = {"start, limit, delta: scalars"}},
      {.name = "Trilu",
       .infer = infer_same,
       .attributes = {{"upper", integer, "1"}, {"k", integer, "0", {.input = 1, .since = 14}}},
       .lowering = {{.rule = trilu, .below = 14}},
       .fold = {.evaluate = evaluate_trilu},
       .documentation = {"x"}},
      {.domain = composite_domain,
       .name = "Size",
       .infer = infer_size,
       .attributes = {{"axis", integer, "0"}},
       .lowering = {{length_of_axis}},
       .documentation = {"x", "the length of one axis, an i64 scalar"}},
  };
  return rows;
}

}  // namespace onnxport::ir

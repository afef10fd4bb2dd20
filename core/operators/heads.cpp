// SPDX-License-Identifier: Apache-2.0
// Heads apart and together, and what turns them by their places.
#include <fmt/format.h>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/heads.hpp"

namespace onnxport::ir {

ValueId into_heads(Builder& b, ValueId x, int64_t heads, std::vector<int64_t> perm) {
  const int64_t width = b.shape(x)[2].size() / heads;
  return b.transpose(b.reshape(x, {0, 0, heads, width}), std::move(perm));
}

namespace {

void infer_rotary_embedding(Inference& x) {
  require_rank(x, 0, 4);
  for (size_t i : {1, 2}) {
    require_rank(x, i, 3);
    require_same_dtype(x, 0, i);
    require_same(x.shape(i)[1], x.shape(0)[2], "the length of the angles");
  }
  const auto half = x.shape(1)[2].maybe_size(), width = x.shape(0)[3].maybe_size();
  if (!half || !width || 2 * *half > *width) refuse("its angles are for wider heads than it has");
  infer_float(x);
}

void infer_split_heads(Inference& x) {
  require_rank(x, 0, 3);
  const int64_t heads = x.node.integer("heads", 0);
  const auto width = x.shape(0)[2].maybe_size();
  if (heads <= 0 || !width || *width % heads != 0) refuse(fmt::format("does not divide into {} heads", heads));
  set(x, dtype_of(x), {x.shape(0)[0], Dim(heads), x.shape(0)[1], Dim(*width / heads)});
}

void infer_merge_heads(Inference& x) {
  require_rank(x, 0, 4);
  const Shape& from = x.shape(0);
  set(x, dtype_of(x), {from[0], from[2], from[1] * from[3]});
}

// ------------------------------------------------------------------------------------------------- lowering

/// x · cos + turned(x) · sin, with turned(x) = (-second half, first half). Its sign goes to the sines, which all layers
/// share.
///
///   x ─ Split ─ Concat(swapped) ─ Mul(∓sin) ─ Add
///   └───────────────────────────── Mul(cos) ──┘
Results rotary_embedding(Builder& b) {
  const ValueId x = b.node().input(0), cos = b.node().input(1), sin = b.node().input(2);
  const int64_t half = b.shape(cos)[2].size(), width = b.shape(x)[3].size();
  const bool interleaved = b.node().integer("interleaved", 0) != 0;
  const Attributes last{{"axis", int64_t{-1}}};
  const auto split = [&](ValueId value, std::vector<int64_t> sizes) {
    const size_t count = sizes.size();
    return b.ops("", "Split", {value}, {{"axis", int64_t{-1}}, {"split", std::move(sizes)}}, count);
  };
  // Both halves of an angle's pair, or neighbours: f[batch, 1, n, 2·half].
  const auto doubled = [&](ValueId first, ValueId second) {
    if (!interleaved) return b.unsqueeze(b.op("Concat", {first, second}, last), {1});
    const ValueId pairs = b.op("Concat", {b.unsqueeze(first, {3}), b.unsqueeze(second, {3})}, last);
    return b.unsqueeze(b.reshape(pairs, {0, 0, 2 * half}), {1});
  };
  ValueId turned = x, rest = absent;
  if (2 * half < width) {
    const Results parts = split(x, {2 * half, width - 2 * half});
    turned = parts[0];
    rest = parts[1];
  }
  ValueId swapped;
  if (interleaved) {
    const int64_t heads = b.shape(x)[1].size();
    const Results pair = split(b.reshape(turned, {0, heads, -1, half, 2}), {1, 1});
    swapped = b.reshape(b.op("Concat", {pair[1], pair[0]}, last), {0, heads, -1, 2 * half});
  } else {
    const Results halves = split(turned, {half, half});
    swapped = b.op("Concat", {halves[1], halves[0]}, last);
  }
  const ValueId straight = b.op("Mul", {turned, doubled(cos, cos)});
  const ValueId across = b.op("Mul", {swapped, doubled(b.op("Neg", {sin}), sin)});
  const ValueId y = b.op("Add", {straight, across});
  return {rest == absent ? y : b.op("Concat", {y, rest}, last)};
}

Results split_heads(Builder& b) {
  return {into_heads(b, b.node().input(0), b.node().integer("heads", 1), {0, 2, 1, 3})};
}

Results merge_heads(Builder& b) {
  const ValueId x = b.node().input(0);
  const Shape shape = b.shape(x);
  const Dim width = shape[1] * shape[3];
  return {b.reshape(b.transpose(x, {0, 2, 1, 3}), {0, 0, width.is_static() ? width.size() : -1})};
}

}  // namespace

const std::vector<Operator>& head_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "RotaryEmbedding",
       .inputs = {3},
       .infer = infer_rotary_embedding,
       .attributes = {{"interleaved", integer, "0"}},
       .lowering = {{rotary_embedding}},
       .documentation = {"x: f[batch, heads, n, d], cos, sin: f[batch or 1, n, half]",
                         "turns the pairs (i, i + half), or neighbours where interleaved, of the first 2 · half "
                         "dimensions; the others stay"}},
      {.domain = composite_domain,
       .name = "SplitHeads",
       .infer = infer_split_heads,
       .attributes = {{"heads", integer}},
       .lowering = {{split_heads}},
       .documentation = {"x: f[batch, n, heads·d]", "f[batch, heads, n, d]"}},
      {.domain = composite_domain,
       .name = "MergeHeads",
       .infer = infer_merge_heads,
       .lowering = {{merge_heads}},
       .documentation = {"x: f[batch, heads, n, d]", "f[batch, n, heads·d]"}},
  };
  return rows;
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
// Lowering of what stands around attention: masks that are made beforehand, rotary embeddings, heads.
#include "core/passes/attention.hpp"
#include "core/passes/attention_mask.hpp"
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;

/// Masks that older definitions make themselves and add as a bias.
Results attention_mask(Builder& b) {
  const ValueId mask = b.node().input(0), query = b.node().input(1);
  Sight sight{.mask = mask, .causal = b.node().integer("causal", 0) != 0, .window = b.node().integer("window", 0)};
  if (sight.by_place()) {
    const bool same = b.shape(query)[1] == b.shape(mask)[1];
    sight.total_length = b.length(mask, 1);
    sight.query_length = same ? sight.total_length : b.length(query, 1);
  }
  return {mask_scores(b, sight, ir::DType::f32)};
}

Results causal_mask(Builder& b) {
  const ValueId ids = b.node().input(0), past = b.node().input(1);
  const ValueId query = b.length(ids, 1);
  const ValueId total = past == ir::absent ? query : b.op("Add", {b.length(past, 2), query});
  const Sight sight{.query_length = query, .total_length = total, .causal = true};
  return {b.unsqueeze(mask_scores(b, sight, ir::DType::f32), {0, 1})};
}

/// x · cos + turned(x) · sin, with turned(x) = (-second half, first half). Its sign goes to the sines, which all layers
/// share.
///
///   x ─ Split ─ Concat(swapped) ─ Mul(∓sin) ─ Add
///   └───────────────────────────── Mul(cos) ──┘
Results rotary_embedding(Builder& b) {
  const ValueId x = b.node().input(0), cos = b.node().input(1), sin = b.node().input(2);
  const int64_t half = b.shape(cos)[2].size(), width = b.shape(x)[3].size();
  const bool interleaved = b.node().integer("interleaved", 0) != 0;
  const ir::Attributes last{{"axis", int64_t{-1}}};
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
  ValueId turned = x, rest = ir::absent;
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
  return {rest == ir::absent ? y : b.op("Concat", {y, rest}, last)};
}

Results split_heads(Builder& b) {
  return {into_heads(b, b.node().input(0), b.node().integer("heads", 1), {0, 2, 1, 3})};
}

Results merge_heads(Builder& b) {
  const ValueId x = b.node().input(0);
  const ir::Shape shape = b.shape(x);
  const ir::Dim width = shape[1] * shape[3];
  return {b.reshape(b.transpose(x, {0, 2, 1, 3}), {0, 0, width.is_static() ? width.size() : -1})};
}

constexpr RuleRow rows[] = {
    {ir::composite_domain, "AttentionMask", every_opset, attention_mask},
    {ir::composite_domain, "CausalMask", every_opset, causal_mask},
    {ir::composite_domain, "Attention", every_opset, lower_attention},
    {ir::composite_domain, "RotaryEmbedding", every_opset, rotary_embedding},
    {ir::composite_domain, "SplitHeads", every_opset, split_heads},
    {ir::composite_domain, "MergeHeads", every_opset, merge_heads},
};

}  // namespace

std::span<const RuleRow> attention_rules() {
  return rows;
}

}  // namespace onnxport

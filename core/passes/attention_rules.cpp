// SPDX-License-Identifier: Apache-2.0
// Lowering of attention, its masks and rotary embeddings.
#include <cmath>
#include <limits>

#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;

/// What limits the keys that a query sees, beside a mask.
struct Sight {
  ValueId query_length, total_length;  // i64[1]; the same value where they are equal
  int64_t window = 0;                  // 0: all keys up to the query
};

/// bool[query, total]: key j is not after query i, which stands at i + total - query, and within its window.
ValueId seen(Builder& b, const Sight& sight) {
  const auto scalar = [&](ValueId length) { return b.op("Squeeze", {length}, {{"axes", std::vector<int64_t>{0}}}); };
  const auto positions = [&](ValueId length) { return b.op("Range", {b.integer(0), scalar(length), b.integer(1)}); };
  const ValueId keys = b.unsqueeze(positions(sight.total_length), {0});
  ValueId queries = positions(sight.query_length);
  if (sight.query_length != sight.total_length)
    queries = b.op("Add", {queries, b.op("Sub", {sight.total_length, sight.query_length})});
  queries = b.unsqueeze(queries, {1});
  const ValueId not_after = b.op("LessOrEqual", {keys, queries});
  if (sight.window == 0) return not_after;
  const ValueId near = b.op("Greater", {keys, b.op("Sub", {queries, b.integer(sight.window)})});
  return b.op("And", {not_after, near});
}

/// (1 - counts) · masked, with counts the mask as f32[batch, 1, 1, total]; with a causal one, 0 or masked.
Results attention_mask(Builder& b) {
  const ValueId mask = b.node().input(0), query = b.node().input(1);
  const auto cast = [&](ir::DType to) {
    return b.op("Cast", {b.unsqueeze(mask, {1, 2})}, {{"to", static_cast<int64_t>(to)}});
  };
  if (b.node().integer("causal", 0) != 0) {
    const ValueId total = b.length(mask, 1);
    const bool same = b.shape(query)[1] == b.shape(mask)[1];
    const ValueId sight = seen(b, {same ? total : b.length(query, 1), total, b.node().integer("window", 0)});
    const ValueId counts = b.op("And", {cast(ir::DType::boolean), sight});
    return {b.op("Where", {counts, b.scalar(0.0, ir::DType::f32), b.scalar(ir::masked_score, ir::DType::f32)})};
  }
  const ValueId hidden = b.op("Sub", {b.scalar(1.0, ir::DType::f32), cast(ir::DType::f32)});
  return {b.op("Mul", {hidden, b.scalar(ir::masked_score, ir::DType::f32)})};
}

Results causal_mask(Builder& b) {
  const ValueId ids = b.node().input(0), past = b.node().input(1);
  const ValueId query = b.length(ids, 1);
  const ValueId total = past == ir::absent ? query : b.op("Add", {b.length(past, 2), query});
  const ValueId sight = b.unsqueeze(seen(b, {query, total}), {0, 1});
  return {b.op("Where", {sight, b.scalar(0.0, ir::DType::f32), b.scalar(ir::masked_score, ir::DType::f32)})};
}

/// Where queries, keys and values have their length: f[batch, n, heads·d] or f[batch, heads, n, d].
size_t length_axis(Builder& b, ValueId x) {
  return b.shape(x).size() == 4 ? 2 : 1;
}

ir::Dim length_of(Builder& b, ValueId x) {
  return b.shape(x)[length_axis(b, x)];
}

bool is_16_bit(Builder& b, ValueId x) {
  return b.dtype(x) == ir::DType::f16 || b.dtype(x) == ir::DType::bf16;
}

ValueId cast(Builder& b, ValueId x, ir::DType dtype) {
  return b.dtype(x) == dtype ? x : b.op("Cast", {x}, {{"to", static_cast<int64_t>(dtype)}});
}

/// A bias in f32 for an operator of another type: the masked score becomes one of that type.
ValueId bias_as(Builder& b, ValueId bias, ir::DType dtype) {
  const double bound = ir::bound_of(dtype);
  if (b.dtype(bias) != dtype) bias = b.op("Clip", {bias}, {{"min", -bound}, {"max", bound}});
  return cast(b, bias, dtype);
}

/// The bias (absent: nothing) where a key is not after the query, else masked.
ValueId with_causal(Builder& b, ValueId bias, ValueId q, ValueId k) {
  const bool same = length_of(b, q) == length_of(b, k);
  const ValueId total = b.length(k, length_axis(b, k));
  const ValueId allowed = seen(b, {same ? total : b.length(q, length_axis(b, q)), total});
  const ir::DType dtype = is_16_bit(b, q) ? ir::DType::f32 : b.dtype(q);
  return b.op("Where", {allowed, bias == ir::absent ? b.scalar(0.0, dtype) : bias, b.scalar(ir::masked_score, dtype)});
}

/// f[batch, n, heads·d] -> [batch, heads, n, d], or with `perm` another order.
ValueId to_heads(Builder& b, ValueId x, int64_t heads, std::vector<int64_t> perm) {
  const int64_t width = b.shape(x)[2].size() / heads;
  return b.transpose(b.reshape(x, {0, 0, heads, width}), std::move(perm));
}

/// The same, where the heads may be apart already.
ValueId apart(Builder& b, ValueId x, int64_t heads) {
  return b.shape(x).size() == 4 ? x : to_heads(b, x, heads, {0, 2, 1, 3});
}

/// -> [batch, heads, d, n]
ValueId apart_transposed(Builder& b, ValueId x, int64_t heads) {
  return b.shape(x).size() == 4 ? b.transpose(x, {0, 1, 3, 2}) : to_heads(b, x, heads, {0, 2, 3, 1});
}

/// Every kv head serves a run of heads: [batch, kv, a, c] -> [batch, heads, a, c]; `grows` is the axis (2 or 3) whose
/// length is known at run time only.
ValueId repeat_heads(Builder& b, ValueId x, int64_t heads, size_t grows) {
  const ir::Shape shape = b.shape(x);
  const int64_t kv_heads = shape[1].size(), times = heads / kv_heads;
  if (times == 1) return x;
  const ValueId wide = b.op("Expand", {b.unsqueeze(x, {2})}, {{"shape", std::vector<int64_t>{1, 1, times, 1, 1}}});
  std::vector<int64_t> target{0, heads, -1, -1};
  const size_t fixed = grows == 2 ? 3 : 2;
  target[fixed] = shape[fixed].size();
  return b.reshape(wide, target);
}

/// The bias with its query and key axes at full length, which the fused operator wants.
ValueId full_bias(Builder& b, ValueId bias, ValueId q, ValueId k) {
  const ir::Shape shape = b.shape(bias);
  const size_t rank = shape.size();
  const bool query = rank >= 2 && shape[rank - 2] == length_of(b, q),
             total = rank >= 1 && shape[rank - 1] == length_of(b, k);
  if (query && total) return bias;
  const ValueId queries = b.length(q, length_axis(b, q)), keys = b.length(k, length_axis(b, k));
  return b.op("Expand", {bias, b.op("Concat", {b.integers({1, 1}), queries, keys}, {{"axis", int64_t{0}}})});
}

///   q ─ heads ──┐
///   k ─ headsᵀ ─ MatMul ─ Mul(scale) ─ [softcap] ─ Add(bias) ─ Softmax ─ MatMul ─ merge
///   v ─ heads ───────────────────────────────────────────────────────────┘
/// From opset 23 the Attention operator, but for what it orders otherwise (softcap) or does not yield (probabilities).
Results attention(Builder& b) {
  const ir::Node& node = b.node();
  ValueId q = node.input(0), k = node.input(1), v = node.input(2);
  const int64_t heads = node.integer("heads", 0), kv_heads = node.integer("kv_heads", heads);
  const int64_t width = b.shape(q).size() == 4 ? b.shape(q)[3].size() : b.shape(q)[2].size() / heads;
  const double scale = node.real("scale", 1.0 / std::sqrt(static_cast<double>(width)));
  const double softcap = node.real("softcap", 0.0);
  ValueId bias = node.input(3);
  if (node.integer("causal", 0) != 0) bias = with_causal(b, bias, q, k);
  if (b.opset() >= 23 && softcap == 0.0 && node.outputs.size() == 1) {
    if (bias != ir::absent) bias = bias_as(b, full_bias(b, bias, q, k), b.dtype(q));
    const bool split = b.shape(q).size() == 4 || b.shape(k).size() == 4 || b.shape(v).size() == 4;
    if (split) {  // the operator wants all of them in one form
      q = apart(b, q, heads);
      k = apart(b, k, kv_heads);
      v = apart(b, v, kv_heads);
    }
    Results inputs{q, k, v};
    if (bias != ir::absent) inputs.push_back(bias);
    const ValueId mixed =
        b.op("Attention", inputs, {{"q_num_heads", heads}, {"kv_num_heads", kv_heads}, {"scale", scale}});
    return {split ? b.composite("MergeHeads", {mixed}) : mixed};
  }
  ValueId queries = apart(b, q, heads);
  const ValueId keys = repeat_heads(b, apart_transposed(b, k, kv_heads), heads, 3);
  const ValueId values = repeat_heads(b, apart(b, v, kv_heads), heads, 2);
  // In f16 the product of long vectors may pass the largest number before it is scaled.
  const bool early = scale != 1.0 && b.dtype(q) == ir::DType::f16;
  if (early) queries = b.op("Mul", {queries, b.scalar(scale, b.dtype(q))});
  ValueId scores = b.op("MatMul", {queries, keys});
  if (scale != 1.0 && !early) scores = b.op("Mul", {scores, b.scalar(scale, b.dtype(q))});
  if (softcap != 0.0) {
    const ValueId cap = b.scalar(softcap, b.dtype(q));
    scores = b.op("Mul", {b.op("Tanh", {b.op("Div", {scores, cap})}), cap});
  }
  // In 16 bits the lowest number does not outweigh a score, so that masks are added, and exponentials summed, in f32.
  if (is_16_bit(b, q)) scores = cast(b, scores, ir::DType::f32);
  if (bias != ir::absent) scores = b.op("Add", {scores, bias});
  const ValueId probabilities = cast(b, b.op("Softmax", {scores}, {{"axis", int64_t{-1}}}), b.dtype(q));
  const ValueId mixed = b.composite("MergeHeads", {b.op("MatMul", {probabilities, values})});
  if (node.outputs.size() == 1) return {mixed};
  return {mixed, probabilities};
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
  return {to_heads(b, b.node().input(0), b.node().integer("heads", 1), {0, 2, 1, 3})};
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
    {ir::composite_domain, "Attention", every_opset, attention},
    {ir::composite_domain, "RotaryEmbedding", every_opset, rotary_embedding},
    {ir::composite_domain, "SplitHeads", every_opset, split_heads},
    {ir::composite_domain, "MergeHeads", every_opset, merge_heads},
};

}  // namespace

std::span<const RuleRow> attention_rules() {
  return rows;
}

}  // namespace onnxport

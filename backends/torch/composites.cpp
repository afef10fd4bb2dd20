// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "backends/torch/evaluator.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;
using In = ir::AttentionInput;

Tensor optional(const Call& c, size_t index) {
  return c.has(index) ? c.in(index) : Tensor();
}

Results linear(const Call& c) {
  return {at::linear(c.in(0), c.in(1), optional(c, 2))};
}
Results embedding(const Call& c) {
  return {at::embedding(c.in(0), c.in(1))};
}

Results layer_norm(const Call& c) {
  return {at::layer_norm(c.in(0), {c.in(0).size(-1)}, c.in(1), optional(c, 2), c.real("epsilon", 1e-5))};
}

Results rms_norm(const Call& c) {
  const Tensor& x = c.in(0);
  return {x * at::rsqrt(at::mean(x * x, {-1}, true) + c.real("epsilon", 1e-6)) * c.in(1)};
}

Results gelu(const Call& c) {
  const std::string how = c.node.text("approximate", "none");
  if (how == "quick") return {c.in(0) * at::sigmoid(c.in(0) * 1.702)};
  return {at::gelu(c.in(0), how)};
}

Results silu(const Call& c) {
  return {at::silu(c.in(0))};
}

/// Where queries stand among the keys, and how far they see.
struct Places {
  int64_t query, total;
  bool causal;
  int64_t window;  // 0: any distance
};

/// bool[query, total]: whether query i, which stands at i + total - query, sees key j.
Tensor seen(const Places& places) {
  const Tensor keys = at::arange(places.total, at::kLong).unsqueeze(0);
  const Tensor queries = at::arange(places.total - places.query, places.total, at::kLong).unsqueeze(1);
  const Tensor distance = queries - keys;
  Tensor seen = at::ones({places.query, places.total}, at::kBool);
  if (places.causal) seen = seen & (distance >= 0);
  if (places.window > 0) seen = seen & (distance.abs() < places.window);
  return seen;
}

Results attention_mask(const Call& c) {
  const Tensor& mask = c.in(0);
  Tensor counts = mask.to(at::kFloat).unsqueeze(1).unsqueeze(1);
  const bool causal = c.integer("causal", 0) != 0;
  const int64_t window = c.integer("window", 0);
  if (causal || window > 0) counts = counts * seen({c.in(1).size(1), mask.size(1), causal, window}).to(at::kFloat);
  return {(1.0 - counts) * ir::masked_score};
}

Results causal_mask(const Call& c) {
  const int64_t query = c.in(0).size(1), past = c.has(1) ? c.in(1).size(2) : 0;
  const Tensor counts = seen({query, past + query, true, 0}).to(at::kFloat);
  return {((1.0 - counts) * ir::masked_score).unsqueeze(0).unsqueeze(0)};
}

Tensor into_heads(const Tensor& x, int64_t heads) {
  return x.reshape({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}
Tensor from_heads(const Tensor& x) {
  return x.transpose(1, 2).reshape({x.size(0), x.size(2), x.size(1) * x.size(3)});
}

Results split_heads(const Call& c) {
  return {into_heads(c.in(0), c.integer("heads", 1))};
}
Results merge_heads(const Call& c) {
  return {from_heads(c.in(0))};
}

/// Turns pairs of a head's leading dimensions by an angle: (i, i + half), or neighbours where interleaved.
Tensor turned(const Tensor& x, const Tensor& cosines, const Tensor& sines, bool interleaved) {
  const Tensor cos = cosines.unsqueeze(1), sin = sines.unsqueeze(1);
  const int64_t half = cos.size(3), width = x.size(3);
  const Tensor part = x.narrow(3, 0, 2 * half), rest = x.narrow(3, 2 * half, width - 2 * half);
  const Tensor first = interleaved ? part.slice(3, 0, 2 * half, 2) : part.narrow(3, 0, half),
               second = interleaved ? part.slice(3, 1, 2 * half, 2) : part.narrow(3, half, half);
  const Tensor a = first * cos - second * sin, b = second * cos + first * sin;
  const Tensor y = interleaved ? at::stack({a, b}, 4).reshape_as(part) : at::cat({a, b}, 3);
  return at::cat({y, rest}, 3);
}

Results rotary_embedding(const Call& c) {
  return {turned(c.in(0), c.in(1), c.in(2), c.integer("interleaved", 0) != 0)};
}

/// The keys that count: bool[batch or 1, 1, query, total].
Tensor counted(const Call& c, int64_t query, int64_t total) {
  const Tensor near = seen({query, total, c.integer("causal", 0) != 0, c.integer("window", 0)});
  if (!c.has(In::mask)) return near.unsqueeze(0).unsqueeze(0);
  return near & (c.in(In::mask) != 0).unsqueeze(1).unsqueeze(1);
}

Results attention(const Call& c) {
  const int64_t heads = c.integer("heads", 1), kv_heads = c.integer("kv_heads", heads);
  const auto apart = [](const Tensor& x, int64_t count) { return x.dim() == 4 ? x : into_heads(x, count); };
  Tensor q = apart(c.in(In::q), heads), k = apart(c.in(In::k), kv_heads), v = apart(c.in(In::v), kv_heads);
  if (c.has(In::cosines)) {
    const bool interleaved = c.integer("interleaved", 0) != 0;
    q = turned(q, c.in(In::cosines), c.in(In::sines), interleaved);
    k = turned(k, c.in(In::cosines), c.in(In::sines), interleaved);
  }
  if (c.has(In::past_key)) {
    k = at::cat({c.in(In::past_key), k}, 2);
    v = at::cat({c.in(In::past_value), v}, 2);
  }
  const auto repeated = [&](const Tensor& x) { return at::repeat_interleave(x, heads / kv_heads, 1); };
  const double scale = c.real("scale", 1.0 / std::sqrt(static_cast<double>(q.size(3))));
  Tensor scores = at::matmul(q, repeated(k).transpose(2, 3)) * scale;
  if (const double cap = c.real("softcap", 0); cap != 0) scores = at::tanh(scores / cap) * cap;
  if (c.has(In::bias)) scores = scores + c.in(In::bias);
  // A finite value, so that a row in which nothing counts is uniform and not NaN.
  scores = scores.masked_fill(at::logical_not(counted(c, q.size(2), k.size(2))), ir::masked_score);
  if (c.has(In::sinks)) {
    const Tensor sinks = c.in(In::sinks).reshape({1, heads, 1, 1}).expand({scores.size(0), heads, scores.size(2), 1});
    scores = at::cat({scores, sinks}, 3);
  }
  const Tensor probabilities = at::softmax(scores, -1).narrow(3, 0, k.size(2));
  Results results{from_heads(at::matmul(probabilities, repeated(v)))};
  if (c.integer("present", 0) != 0) results.insert(results.end(), {k, v});
  results.push_back(probabilities);
  return results;
}

Results size(const Call& c) {
  return {at::scalar_tensor(c.in(0).size(c.integer("axis", 0)), at::kLong)};
}

}  // namespace

const Table& composite_table() {
  static const Table table{
      {"Linear", linear},
      {"Embedding", embedding},
      {"LayerNorm", layer_norm},
      {"RMSNorm", rms_norm},
      {"Gelu", gelu},
      {"Silu", silu},
      {"AttentionMask", attention_mask},
      {"CausalMask", causal_mask},
      {"Attention", attention},
      {"RotaryEmbedding", rotary_embedding},
      {"SplitHeads", split_heads},
      {"MergeHeads", merge_heads},
      {"Size", size},
  };
  return table;
}

}  // namespace onnxport::reference

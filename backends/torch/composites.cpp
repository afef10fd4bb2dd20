// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "backends/torch/evaluator.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;

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

/// bool[query, total]: whether key j is at most query i, which stands at i + total - query.
Tensor not_after(int64_t query, int64_t total) {
  return at::ones({query, total}, at::kBool).tril(total - query);
}

Results attention_mask(const Call& c) {
  const Tensor& mask = c.in(0);
  Tensor counts = mask.to(at::kFloat).unsqueeze(1).unsqueeze(1);
  if (c.integer("causal", 0) != 0) {
    const int64_t query = c.in(1).size(1), total = mask.size(1), window = c.integer("window", 0);
    Tensor seen = not_after(query, total);
    if (window > 0) seen = seen.triu(total - query - window + 1);
    counts = counts * seen.to(at::kFloat);
  }
  return {(1.0 - counts) * ir::masked_score};
}

Results causal_mask(const Call& c) {
  const int64_t query = c.in(0).size(1), past = c.has(1) ? c.in(1).size(2) : 0;
  const Tensor counts = not_after(query, past + query).to(at::kFloat);
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

Results attention(const Call& c) {
  const int64_t heads = c.integer("heads", 1), kv_heads = c.integer("kv_heads", heads);
  const auto apart = [](const Tensor& x, int64_t count) { return x.dim() == 4 ? x : into_heads(x, count); };
  const Tensor q = apart(c.in(0), heads);
  const Tensor k = at::repeat_interleave(apart(c.in(1), kv_heads), heads / kv_heads, 1);
  const Tensor v = at::repeat_interleave(apart(c.in(2), kv_heads), heads / kv_heads, 1);
  Tensor scores = at::matmul(q, k.transpose(2, 3)) * c.real("scale", 1.0 / std::sqrt(static_cast<double>(q.size(3))));
  if (const double cap = c.real("softcap", 0); cap != 0) scores = at::tanh(scores / cap) * cap;
  if (c.has(3)) scores = scores + c.in(3);
  if (c.integer("causal", 0) != 0) {
    // A finite value, so that a row in which nothing counts is uniform and not NaN.
    scores = at::where(not_after(q.size(2), k.size(2)), scores, at::full({}, ir::masked_score, scores.options()));
  }
  const Tensor probabilities = at::softmax(scores, -1);
  Results results{from_heads(at::matmul(probabilities, v))};
  if (c.node.outputs.size() > 1) results.push_back(probabilities);
  return results;
}

/// Turns pairs of a head's leading dimensions by an angle: (i, i + half), or neighbours where interleaved.
Results rotary_embedding(const Call& c) {
  const Tensor& x = c.in(0);
  const Tensor cos = c.in(1).unsqueeze(1), sin = c.in(2).unsqueeze(1);
  const int64_t half = cos.size(3), width = x.size(3);
  const Tensor turned = x.narrow(3, 0, 2 * half), rest = x.narrow(3, 2 * half, width - 2 * half);
  const bool interleaved = c.integer("interleaved", 0) != 0;
  const Tensor first = interleaved ? turned.slice(3, 0, 2 * half, 2) : turned.narrow(3, 0, half),
               second = interleaved ? turned.slice(3, 1, 2 * half, 2) : turned.narrow(3, half, half);
  const Tensor a = first * cos - second * sin, b = second * cos + first * sin;
  const Tensor y = interleaved ? at::stack({a, b}, 4).reshape_as(turned) : at::cat({a, b}, 3);
  return {at::cat({y, rest}, 3)};
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

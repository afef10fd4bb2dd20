// SPDX-License-Identifier: Apache-2.0
// Operators that choose among entries, and those that put entries back.
#include <ATen/TensorIndexing.h>

#include <algorithm>

#include "backends/torch/evaluator.hpp"
#include "core/ir/experts.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;

/// The k largest or smallest along an axis, and where they stand. Of equals the first, as in ONNX, which at::topk does
/// not promise: experts of other groups than a token's are all worth the same.
std::pair<Tensor, Tensor> best(const Tensor& x, int64_t k, int64_t axis, bool largest = true) {
  const auto [values, indices] = at::sort(x, /*stable=*/true, axis, largest);
  return {values.narrow(axis, 0, k), indices.narrow(axis, 0, k)};
}

Results top_k(const Call& c) {
  const int64_t k = c.has(1) ? numbers(c.in(1)).at(0) : c.integer("k", 1);
  const auto [values, indices] = best(c.in(0), k, c.integer("axis", -1), c.integer("largest", 1) != 0);
  return {values, indices};
}

Results non_zero(const Call& c) {
  return {at::nonzero(c.in(0)).transpose(0, 1)};
}

/// x with the updates at places of one axis, on top of what stands there or instead of it. Indices count from 0.
Tensor scattered(const Call& c, const Tensor& x, int64_t axis, const Tensor& indices, const Tensor& updates) {
  static const std::map<std::string, const char*> names{{"mul", "prod"}, {"min", "amin"}, {"max", "amax"}};
  const std::string reduction = c.text("reduction", "none");
  if (reduction == "none") return at::scatter(x, axis, indices, updates);
  if (reduction == "add") return at::scatter_add(x, axis, indices, updates);
  return at::scatter_reduce(x, axis, indices, updates, names.at(reduction), true);
}

Results scatter_elements(const Call& c) {
  const int64_t axis = c.integer("axis", 0), size = c.in(0).size(axis);
  const Tensor& indices = c.in(1);
  return {scattered(c, c.in(0), axis, at::where(indices < 0, indices + size, indices), c.in(2))};
}

/// The last axis of the indices names entries, or whole parts, of the leading axes, which are one axis here.
Results scatter_nd(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1);
  const int64_t depth = indices.size(-1);
  int64_t parts = 1;
  Tensor rows = at::zeros({indices.numel() / std::max<int64_t>(1, depth)}, at::kLong);
  for (int64_t i = 0; i < depth; ++i) {
    const int64_t size = x.size(i);
    const Tensor at = indices.select(-1, i).reshape({-1});
    rows = rows * size + at::where(at < 0, at + size, at);
    parts *= size;
  }
  const Tensor flat = x.reshape({parts, -1}), updates = c.in(2).reshape({rows.size(0), flat.size(1)});
  return {scattered(c, flat, 0, rows.unsqueeze(1).expand_as(updates), updates).reshape_as(x)};
}

Results keep_last(const Call& c) {
  const int64_t axis = c.integer("axis", 0), size = c.in(0).size(axis), wanted = numbers(c.in(1)).at(0);
  return {c.in(0).narrow(axis, wanted == 0 ? 0 : std::max<int64_t>(0, size - wanted),
                         wanted == 0 ? size : std::min(size, wanted))};
}

Results stack(const Call& c) {
  return {at::stack(c.inputs)};
}

// ------------------------------------------------------------------------------------------------ experts

Tensor activated(const std::string& name, const Tensor& x) {
  if (name == "silu") return at::silu(x);
  if (name == "gelu") return at::gelu(x);
  if (name == "gelu_tanh") return at::gelu(x, "tanh");
  const Tensor r = at::relu(x);
  return name == "relu2" ? r * r : r;
}

/// x: f[tokens, hidden] -> the same, by one expert.
Tensor expert(const Call& c, int64_t index, const Tensor& x) {
  using namespace ir::experts;
  const auto linear = [&](size_t weight, size_t bias, const Tensor& of) {
    return at::linear(of, c.in(weight).select(0, index), c.has(bias) ? c.in(bias).select(0, index) : Tensor());
  };
  const std::string activation = c.node.text("activation", "silu");
  Tensor inner = linear(up, up_bias, x);
  if (!c.has(gate)) return linear(down, down_bias, activated(activation, inner));
  Tensor gates = linear(gate, gate_bias, x);
  if (c.node.has("limit")) {
    const double limit = c.real("limit", 0);
    gates = at::clamp_max(gates, limit);
    inner = at::clamp(inner, -limit, limit);
  }
  if (c.node.has("alpha"))
    inner = gates * at::sigmoid(gates * c.real("alpha", 1)) * (inner + 1);
  else
    inner = activated(activation, gates) * inner;
  return linear(down, down_bias, inner);
}

Results mixture_of_experts(const Call& c) {
  using namespace ir::experts;
  const Tensor x = c.in(ir::experts::x).flatten(0, -2), scores = c.in(ir::experts::scores).flatten(0, -2);
  const Tensor choice = c.has(ir::experts::choice) ? c.in(ir::experts::choice).flatten(0, -2) : scores;
  const Tensor chosen = best(choice, c.integer("top_k", 1), -1).second;
  Tensor shares = at::gather(scores, 1, chosen);
  if (c.integer("normalize", 0) != 0) shares = shares / (shares.sum(-1, true) + c.real("normalize_epsilon", 0));
  shares = shares * c.real("scale", 1);
  Tensor y = at::zeros_like(x);
  for (int64_t i = 0; i < scores.size(1); ++i) {
    const Tensor places = at::nonzero(chosen == i);
    if (places.size(0) == 0) continue;
    const Tensor tokens = places.select(1, 0), share = shares.index({tokens, places.select(1, 1)});
    y.index_add_(0, tokens, expert(c, i, at::index_select(x, 0, tokens)) * share.unsqueeze(1));
  }
  return {y.reshape_as(c.in(ir::experts::x))};
}

}  // namespace

const Table& selection_operator_table() {
  static const Table table{
      {"TopK", top_k}, {"NonZero", non_zero}, {"ScatterElements", scatter_elements}, {"ScatterND", scatter_nd}};
  return table;
}

const Table& selection_composite_table() {
  static const Table table{{"KeepLast", keep_last}, {"MixtureOfExperts", mixture_of_experts}, {"Stack", stack}};
  return table;
}

}  // namespace onnxport::reference

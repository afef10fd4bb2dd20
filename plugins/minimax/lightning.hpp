// SPDX-License-Identifier: Apache-2.0
// Lightning attention: keys and values of earlier tokens are one matrix a head, which decays (arXiv:2501.08313,
// section 2.2).
#pragma once

#include <cmath>
#include <vector>

#include <onnxport/blocks/attention.hpp>

namespace minimax {

using namespace onnxport::sdk;

/// What a layer's module is made of.
struct Lightning {
  int64_t heads, head_size;
  std::string activation;
  std::vector<double> slopes;  ///< of each head: a token counts exp(-slope) as much as the one behind it
  bool asks_in_padding;        ///< whether what is padded has queries, which no text reads: before transformers 5
};

/// The slopes of a layer: less the later a head or a layer is. Source: MiniMaxLightningAttention.get_slope_rate,
/// transformers 4.57.
inline std::vector<double> slopes_of(int64_t heads, int64_t layer, int64_t layers) {
  const double depth = 1 - static_cast<double>(layer) / (static_cast<double>(layers - 1) + 1e-5) + 1e-5;
  std::vector<double> slopes;
  for (int64_t head = 1; head <= heads; ++head)
    slopes.push_back(std::pow(2, -8.0 * static_cast<double>(head) / static_cast<double>(heads)) * depth);
  return slopes;
}

namespace detail {

/// exp(-slope·distance) for each head: distance: f32[...] -> f32[heads, ...].
inline Value decay(const std::vector<double>& slopes, const Value& distance) {
  const std::vector<float> negative = [&] {
    std::vector<float> all;
    for (const double slope : slopes) all.push_back(static_cast<float>(-slope));
    return all;
  }();
  std::vector<int64_t> shape(distance.rank() + 1, 1);
  shape[0] = static_cast<int64_t>(slopes.size());
  return exp(distance.graph().constant<float>(DType::f32, shape, negative) * distance);
}

}  // namespace detail

/// What a step leaves behind.
struct Swept {
  Value mixed;   ///< f[batch, n, heads·d]
  Value memory;  ///< f[batch, heads, d, d]: the sum of keys times values, each as far decayed as it is behind the last
};

/// Attention without a softmax: a query meets every key up to its own place, by their product and how far it lies
/// behind. made: f[batch, heads, n, d] each; memory: of earlier steps, or absent. Blocks of a prompt, which the
/// original computes one after the other, give the same. Source: MiniMaxLightningAttention.forward, transformers 5.24.
inline Swept sweep(const QueryKeyValue& made, const std::vector<double>& slopes, const Value& memory) {
  Graph& g = made.query.graph();
  const Value length = size_of(made.query, 2), place = range(length);
  const Value behind = unsqueeze(place, {1}) - place;  // i64[n, n]: of a query's place a key's
  const Value seen = g.op("GreaterOrEqual", {behind, g.integer(0)});
  const Value weights = where(seen, detail::decay(slopes, cast(where(seen, behind, g.integer(0)), DType::f32)),
                              g.scalar(0));  // f32[heads, n, n]
  Value mixed = matmul(matmul(made.query, transpose(made.key, {0, 1, 3, 2})) * weights, made.value);

  const Value left = unsqueeze(cast(length - g.integer(1) - place, DType::f32), {1});  // f32[n, 1]: to the last
  Value kept = matmul(transpose(made.key * detail::decay(slopes, left), {0, 1, 3, 2}), made.value);
  if (memory) {
    const Value since = unsqueeze(cast(place + g.integer(1), DType::f32), {1});
    mixed = mixed + matmul(made.query * detail::decay(slopes, since), memory);
    const Value whole = reshape(cast(length, DType::f32), {1, 1});
    kept = kept + memory * detail::decay(slopes, whole);
  }
  return {merge_heads(mixed), kept};
}

/// x: f[batch, n, width] -> the same. mask: i64[batch, n], 1 where a token of the step counts. The layer's memory is
/// the cache's state `memory`.
inline Value lightning_attention(const Scope& s, const Value& x, const Lightning& form, const Value& mask, Cache& cache,
                                 const std::string& memory) {
  const int64_t width = form.heads * form.head_size;
  const Value made = activation(linear(s / "qkv_proj", x, {.out = 3 * width, .bias = false}), form.activation);
  const std::vector<Value> parts =
      split(split_heads(made, form.heads), -1, {form.head_size, form.head_size, form.head_size});
  const Value counts = unsqueeze(cast(mask, x.dtype()), {1, 3});  // f[batch, 1, n, 1]
  const Value query = form.asks_in_padding ? parts[0] : parts[0] * counts;
  const Swept swept = sweep({query, parts[1], parts[2] * counts}, form.slopes, cache.past(memory));
  cache.replace(memory, swept.memory);
  const Value normed = norm(s / "norm", swept.mixed, {.kind = Norm::Kind::rms, .epsilon = 1e-6});
  const Value gate = sigmoid(linear(s / "output_gate", x, {.out = width, .bias = false}));
  return linear(s / "out_proj", gate * normed, {.out = x.fixed(-1), .bias = false});
}

}  // namespace minimax

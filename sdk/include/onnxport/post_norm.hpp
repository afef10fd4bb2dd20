// SPDX-License-Identifier: Apache-2.0
// The encoder layer of "Attention Is All You Need", which normalises after each sum.
#pragma once

#include <functional>
#include <string>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// Where such a layer keeps its weights, below its own scope. A model states this once.
struct PostNormNames {
  std::string query, key, value, attention_output, attention_norm;
  std::string up, down, norm;
};

struct PostNormOptions {
  const PostNormNames& names;
  int64_t heads, inner;
  std::string activation = "gelu";
  double epsilon = 1e-12;
  Value bias{};  ///< added to the scaled scores: the mask, positions; broadcastable to f[batch, heads, sequence,
                 ///< sequence]
  /// Further scores, which depend on queries and keys (f32[batch, sequence, heads·d]); added as the bias is.
  std::function<Value(const Value& q, const Value& k)> scores{};
  std::string probabilities{};  ///< as in AttentionOptions
};

/// x = norm(x + attention(x)), then norm(x + down(activation(up(x)))): f32[batch, sequence, hidden] -> the same.
inline Value post_norm_layer(const Scope& layer, const Value& x, const PostNormOptions& options) {
  const PostNormNames& at = options.names;
  const int64_t hidden = x.fixed(-1);
  const Value q = linear(layer / at.query, x, {.out = hidden});
  const Value k = linear(layer / at.key, x, {.out = hidden});
  const Value v = linear(layer / at.value, x, {.out = hidden});
  Value bias = options.bias;
  if (options.scores) bias = bias ? options.scores(q, k) + bias : options.scores(q, k);
  Value h = attention(q, k, v, {.heads = options.heads, .bias = bias, .probabilities = options.probabilities});
  h = linear(layer / at.attention_output, h, {.out = hidden});
  const Value attended = layer_norm(layer / at.attention_norm, h + x, {.epsilon = options.epsilon});

  h = linear(layer / at.up, attended, {.out = options.inner});
  h = activation(h, options.activation);
  h = linear(layer / at.down, h, {.out = hidden});
  return layer_norm(layer / at.norm, h + attended, {.epsilon = options.epsilon});
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// The gated delta rule (arXiv:2412.06464): what a head remembers is a matrix from keys to values, which decays, and in
// which a token's value takes the place of what was remembered for its key:
//
//   state <- exp(decay)·state,   state <- state + key⊗(beta·(value - key·state)),   y = query·state
//
// A step is a few products, and one token's state is all that the next one needs: a Scan over the tokens.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/blocks/causal_convolution.hpp>
#include <onnxport/blocks/norm.hpp>

namespace onnxport::sdk {

/// Queries and keys are of fewer heads than values, each for so many neighbours.
struct GatedDelta {
  int64_t key_heads, value_heads;
  int64_t key_size, value_size;  ///< of a head

  int64_t keys() const { return key_heads * key_size; }
  int64_t values() const { return value_heads * value_size; }
};

/// query, key: f[batch, n, key heads·key size]; value: f[batch, n, value heads·value size]; beta, between 0 and 1, and
/// decay, not above 0: f[batch, n, value heads]; state: f[batch, value heads, key size, value size], absent in a first
/// step.
struct GatedDeltaInput {
  Value query, key, value, beta, decay, state;
};
struct GatedDeltaResult {
  Value y;      ///< as value
  Value state;  ///< after the last token
};

namespace detail {

/// Vectors of length 1: f[..., width] -> the same. Source: l2norm of Qwen3Next, transformers 5.24.
inline Value unit_vectors(const Operand& x) {
  const Value squares = x.graph().op("ReduceSum", {x * x}, {{"axes", {-1}}, {"keepdims", 1}});
  return x / sqrt(squares + 1e-6);
}

}  // namespace detail

/// Source: torch_recurrent_gated_delta_rule, transformers 5.24, whose form by chunks gives the same.
inline GatedDeltaResult gated_delta_rule(const Scope& scope, const GatedDeltaInput& given, const GatedDelta& form) {
  Graph& g = scope.graph();
  const int64_t heads = form.key_heads, each = form.value_heads / heads;  // value heads of a key's
  const int64_t k = form.key_size, v = form.value_size;
  // f[batch, n, …] -> f[n, batch, key heads, value heads of each, rows, columns]
  const auto walked = [](const Value& x, const std::vector<int64_t>& shape) {
    std::vector<int64_t> apart{0, 0};
    apart.insert(apart.end(), shape.begin(), shape.end());
    return transpose(reshape(x, apart), {1, 0, 2, 3, 4, 5});
  };
  const auto units = [&](const Value& x) { return detail::unit_vectors(reshape(x, {0, 0, heads, k})); };
  const Value before = given.state ? given.state.in(scope) : zeros_of_batch(given.value, {form.value_heads, k, v});
  const ScanOver over{
      .states = {reshape(before, {0, heads, each, k, v})},
      .walked = {walked(units(given.query) / std::sqrt(static_cast<double>(k)), {heads, 1, 1, k}),
                 walked(units(given.key), {heads, 1, 1, k}), walked(given.value, {heads, each, 1, v}),
                 walked(given.beta, {heads, each, 1, 1}), walked(exp(given.decay), {heads, each, 1, 1})},
      .rows = 1};
  const ScanResult result = g.scan(scope, over, [](Graph&, const std::vector<Value>& in) -> ScanStep {
    const Value &query = in[1], &key = in[2], &value = in[3], &beta = in[4], &kept = in[5];
    const Value left = in[0] * kept;
    const Value fresh = (value - matmul(key, left)) * beta;
    const Value state = left + transpose(key, {0, 1, 2, 4, 3}) * fresh;
    return {{state}, {matmul(query, state)}};
  });
  const Value y = transpose(result.rows[0], {1, 0, 2, 3, 4, 5});
  return {reshape(y, {0, 0, form.values()}), reshape(result.states[0], {0, form.value_heads, k, v})};
}

/// A module around it: layers, a convolution over queries, keys and values, the rule, a norm of every head with a gate
/// behind, a last layer.
struct GatedDeltaMixer {
  GatedDelta rule;
  int64_t kernel = 4;  ///< of the convolution
  std::string activation = "silu";
  double epsilon = 1e-6;
  /// Whether there is a layer for each of what is made ("in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a"), or one
  /// for queries, keys, values and gates and one for the rest, both by key heads ("in_proj_qkvz", "in_proj_ba").
  bool apart = false;

  CausalConvolution convolution() const {
    return {.channels = 2 * rule.keys() + rule.values(), .kernel = kernel, .bias = false, .activation = activation};
  }
  /// What a layer of this kind leaves for the next step.
  std::vector<State> states(int64_t layer) const {
    return {state_of(convolution(), layer),
            remembered("recurrent", layer, {axis::batch, rule.value_heads, rule.key_size, rule.value_size})};
  }
};

namespace detail {

/// What the first layers make of x.
struct GatedDeltaProjected {
  Value convolved;    ///< queries, keys, values: f[batch, n, 2·keys + values]
  Value gate;         ///< f[batch, n, values]
  Value beta, decay;  ///< before their functions: f[batch, n, value heads]
};

inline GatedDeltaProjected projected(const Scope& s, const Operand& x, const GatedDeltaMixer& form) {
  const GatedDelta& rule = form.rule;
  const auto layer = [&](const char* name, int64_t width) {
    return linear(s / name, x, {.out = width, .bias = false});
  };
  if (form.apart) {
    return {layer("in_proj_qkv", 2 * rule.keys() + rule.values()), layer("in_proj_z", rule.values()),
            layer("in_proj_b", rule.value_heads), layer("in_proj_a", rule.value_heads)};
  }
  const int64_t each = rule.value_heads / rule.key_heads, wide = each * rule.value_size;
  const auto by_heads = [&](const Value& made, const std::vector<int64_t>& widths) {
    return split(reshape(made, {0, 0, rule.key_heads, -1}), -1, widths);
  };
  const auto together = [](const Value& part, int64_t width) { return reshape(part, {0, 0, width}); };
  const std::vector<Value> parts =
      by_heads(layer("in_proj_qkvz", 2 * rule.keys() + 2 * rule.values()), {rule.key_size, rule.key_size, wide, wide});
  const std::vector<Value> rest = by_heads(layer("in_proj_ba", 2 * rule.value_heads), {each, each});
  return {
      concat({together(parts[0], rule.keys()), together(parts[1], rule.keys()), together(parts[2], rule.values())}, 2),
      together(parts[3], rule.values()), together(rest[0], rule.value_heads), together(rest[1], rule.value_heads)};
}

}  // namespace detail

/// x: f[batch, n, hidden], 0 where a text is padded -> the same. Weights beside the layers': dt_bias and A_log f[value
/// heads], norm.weight f[value size]. Source: Qwen3NextGatedDeltaNet and Qwen3_5GatedDeltaNet, transformers 5.24.
inline Value gated_delta_mixer(const Scope& s, const Operand& x, const GatedDeltaMixer& form, Cache& cache,
                               int64_t layer) {
  const GatedDelta& rule = form.rule;
  Graph& g = s.graph();
  const detail::GatedDeltaProjected made = detail::projected(s, x, form);
  const Value mixed = causal_convolution(s / "conv1d", made.convolved, form.convolution(), cache, layer);
  const std::vector<Value> parts = split(mixed, -1, {rule.keys(), rule.keys(), rule.values()});

  const Value step = g.op("Softplus", {made.decay + s.weight("dt_bias", {rule.value_heads})});
  const std::string state = form.states(layer)[1].name;
  const GatedDeltaResult result = gated_delta_rule(s / "rule",
                                                   {.query = parts[0],
                                                    .key = parts[1],
                                                    .value = parts[2],
                                                    .beta = sigmoid(made.beta),
                                                    .decay = -(exp(s.weight("A_log", {rule.value_heads})) * step),
                                                    .state = cache.past(state)},
                                                   rule);
  cache.replace(state, result.state);
  const Norm each{.kind = Norm::Kind::rms, .epsilon = form.epsilon};
  const Value heads = reshape(result.y.in(s), {0, 0, rule.value_heads, rule.value_size});
  const Value normed = reshape(norm(s / "norm", heads, each), {0, 0, rule.values()});
  return linear(s / "out_proj", normed * activation(made.gate, "silu"), {.out = x.fixed(-1), .bias = false});
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// A layer of Swin's second version: angles between queries and keys of a window are the scores, and a small network
// makes their bias of distances. Source: Swinv2Layer and Swin2SRLayer, transformers 4.57 (modeling_swinv2.py,
// modeling_swin2sr.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/windows.hpp>

namespace onnxport::sdk {

struct AngularWindowLayer {
  int64_t heads, inner;
  std::string activation;
  bool qkv_bias;
  double epsilon;
  int64_t trained_window = 0;  ///< for which the network of distances was trained before; 0: the window

  /// x: f[batch, rows·columns, width] -> the same. Both halves are normed behind, before they are joined.
  Value operator()(const Scope& s, const Value& x, const Windows& windows) const {
    const auto attends = [&](const Value& h) {
      const Value inside = into_windows(h, windows);
      const Value bias = bias_within(windows, distance_bias(s / "attention.self", windows.size), inside, h);
      return out_of_windows(by_angles(s / "attention", inside, bias), windows, h);
    };
    const auto feeds = [&](const Value& h) {
      return feed_forward(
          s, h,
          {.inner = inner, .activation = activation, .up = "intermediate.dense", .down = "output.dense", .bias = true});
    };
    const Value y = residual(s, x.in(s), {Placement::inside, {.epsilon = epsilon}, "layernorm_before"}, attends);
    return residual(s, y, {Placement::inside, {.epsilon = epsilon}, "layernorm_after"}, feeds);
  }

 private:
  // Scores are cosines, times a learnt factor a head that is 100 at the most: f[batch, n, width] -> the same.
  Value by_angles(const Scope& s, const Value& x, const Value& bias) const {
    const AttentionBlock block{.heads = heads,
                               .head_size = x.fixed(2) / heads,
                               .projections = {.query = "self.query",
                                               .key = "self.key",
                                               .value = "self.value",
                                               .bias = {qkv_bias, false, qkv_bias, true}},
                               .scale = 1};
    const auto direction = [&](const Value& part) {
      const Value apart = split_heads(part, heads);
      const Value length = s.op("ReduceL2", {apart}, {{"axes", {-1}}, {"keepdims", true}});
      return apart / s.op("Max", {length, s.graph().scalar(1e-12)});
    };
    QueryKeyValue made = project(s, x, block);
    const Value learnt = (s / "self").weight("logit_scale", {heads, 1, 1});
    const Value factor = exp(s.op("Min", {learnt, s.graph().scalar(std::log(100.0))}));
    made.query = direction(made.query) * factor;
    made.key = direction(made.key);
    return linear(s / "output.dense", mix(s, made, block, {.bias = bias}), {.out = x.fixed(2)});
  }

  // A network's answer to the logarithm of each distance: f[1, heads, size², size²].
  Value distance_bias(const Scope& s, int64_t size) const {
    const int64_t before = trained_window, side = 2 * size - 1;
    const auto whole = static_cast<float>(before > 0 ? before - 1 : size > 1 ? size - 1 : 1);
    const auto scaled = [&](int64_t distance) {
      const float share = 8 * static_cast<float>(distance) / whole;
      return std::copysign(std::log2(std::fabs(share) + 1.0f) / 3.0f, share);
    };
    std::vector<float> distances;
    for (int64_t row = 1 - size; row < size; ++row) {
      for (int64_t column = 1 - size; column < size; ++column)
        distances.insert(distances.end(), {scaled(row), scaled(column)});
    }
    const Value given = s.graph().constant<float>(DType::f32, {side * side, 2}, distances);
    const Scope network = s / "continuous_position_bias_mlp";
    const Value hidden = relu(linear(network / 0, given.in(network), {.out = 512}));
    const Value table = linear(network / 2, hidden, {.out = heads, .bias = false});
    return sigmoid(window_bias(table, size)) * 16.0;
  }
};

/// What the reference adds between tokens that a shift brought together: it adds its mask twice.
inline constexpr double angular_windows_apart = -200;

}  // namespace onnxport::sdk

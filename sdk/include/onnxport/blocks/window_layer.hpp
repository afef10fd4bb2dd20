// SPDX-License-Identifier: Apache-2.0
// A layer of Swin: attention within windows, by a learnt number for each distance, and a feed-forward.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/windows.hpp>

namespace onnxport::sdk {

struct WindowLayer {
  int64_t heads, inner;
  std::string activation = "gelu";
  bool qkv_bias = true;
  double epsilon = 1e-5;
};

/// x: f[batch, rows·columns, width] -> the same. Both halves are normed before. Names are those below `s`.
/// Source: SwinLayer and ClapAudioLayer, transformers 4.57.
inline Value window_layer(const Scope& s, const Operand& x, const WindowLayer& form, const Windows& windows) {
  const AttentionBlock block{.heads = form.heads,
                             .head_size = x.fixed(2) / form.heads,
                             .projections = {.query = "self.query",
                                             .key = "self.key",
                                             .value = "self.value",
                                             .output = "output.dense",
                                             .bias = {form.qkv_bias, form.qkv_bias, form.qkv_bias, true}}};
  const auto attends = [&](const Value& h) {
    const Scope self = s / "attention.self";
    const int64_t distances = (2 * windows.size - 1) * (2 * windows.size - 1);
    const Value bias = window_bias(self.weight("relative_position_bias_table", {distances, form.heads}), windows.size);
    const Value inside = into_windows(h, windows);
    const Value mixed = attend(s / "attention", inside, block, {.bias = bias_within(windows, bias, inside, h)});
    return out_of_windows(mixed, windows, h);
  };
  const auto feeds = [&](const Value& h) {
    return feed_forward(s, h,
                        {.inner = form.inner,
                         .activation = form.activation,
                         .up = "intermediate.dense",
                         .down = "output.dense",
                         .bias = true});
  };
  const Value y = residual(s, x.in(s), {.norm = {.epsilon = form.epsilon}, .name = "layernorm_before"}, attends);
  return residual(s, y, {.norm = {.epsilon = form.epsilon}, .name = "layernorm_after"}, feeds);
}

}  // namespace onnxport::sdk

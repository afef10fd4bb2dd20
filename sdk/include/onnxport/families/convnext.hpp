// SPDX-License-Identifier: Apache-2.0
// What ConvNeXT is made of, as data. Source: ConvNextLayer, transformers 4.57 (modeling_convnext.py).
#pragma once

#include <functional>
#include <string>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// A norm over the channels of every pixel: f[batch, n, height, width] -> the same.
inline Value norm_of_channels(const Scope& s, const Value& x, const Norm& form) {
  return channels_first(norm(s, channels_last(x.in(s)), form).in(s));
}

/// A depthwise convolution, then an inverted bottleneck at every pixel, beside a shortcut.
struct ConvNextBlock {
  std::string depthwise = "dwconv", norm = "layernorm", up = "pwconv1", down = "pwconv2";
  double epsilon = 1e-6;
  std::string activation = "gelu";
  std::string factor{};  ///< a learnt factor for each channel of what is added: the weight's name; empty: none
  /// What is done to the widened channels, f[batch, height, width, 4n], by the block's scope.
  std::function<Value(const Scope&, const Value&)> widened{};
};
/// x: f[batch, n, height, width] -> the same. Names are those below `s`.
inline Value convnext_block(const Scope& s, const Value& x, const ConvNextBlock& form) {
  const int64_t width = x.fixed(1);
  Value h = conv2d(s / form.depthwise, x, {.out = width, .kernel = 7, .padding = 3, .groups = width});
  h = norm(s / form.norm, channels_last(h), {.epsilon = form.epsilon});
  h = activation(linear(s / form.up, h, {.out = 4 * width}), form.activation);
  if (form.widened) h = form.widened(s, h);
  h = linear(s / form.down, h, {.out = width});
  if (!form.factor.empty()) h = h * s.weight(form.factor, {width});
  return channels_first(h) + x;
}

}  // namespace onnxport::family

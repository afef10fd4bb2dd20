// SPDX-License-Identifier: Apache-2.0
// What both versions of MobileViT are made of: MobileNet's blocks around transformers, and DeepLab's head.
// Source: MobileViTModel and MobileViTV2Model, transformers 4.57 (modeling_mobilevit.py, modeling_mobilevitv2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// The multiple of `divisor` that is nearest to a width, at least `least` and not below nine tenths of it.
/// Source: make_divisible.
inline int64_t nearest_multiple(double width, int64_t divisor = 8, int64_t least = 0) {
  const auto nearest = static_cast<int64_t>(width + static_cast<double>(divisor) / 2) / divisor * divisor;
  const int64_t multiple = std::max(nearest, least > 0 ? least : divisor);
  return static_cast<double>(multiple) < 0.9 * width ? multiple + divisor : multiple;
}

struct MobileViTBlocks {
  std::string activation;
  double expansion;  ///< of the inverted residuals

  /// A convolution with as much padding as keeps the size, normed, and the activation or the one that is named.
  Value convolve(const Scope& s, const Value& x, ConvOptions options, const std::string& act = {}) const {
    options.bias = false;
    options.padding = (options.kernel.height - 1) / 2 * options.dilation.height;
    const Value h = batch_norm(s / "normalization", conv2d(s / "convolution", x, options));
    return sdk::activation(h, act.empty() ? activation : act);
  }

  /// Widened, convolved channel by channel, and narrowed again; beside a shortcut where the shape stays. Of the options
  /// count the channels, the stride and the dilation.
  Value inverted(const Scope& s, const Value& x, const ConvOptions& of) const {
    const int64_t width = nearest_multiple(std::nearbyint(static_cast<double>(x.fixed(1)) * expansion));
    Value h = convolve(s / "expand_1x1", x, {.out = width});
    h = convolve(s / "conv_3x3", h,
                 {.out = width, .kernel = 3, .stride = of.stride, .dilation = of.dilation, .groups = width});
    h = convolve(s / "reduce_1x1", h, {.out = of.out}, "linear");
    return of.stride.height == 1 && x.fixed(1) == of.out ? x.in(s) + h : h;
  }

  /// Halves the size, unless convolutions reach farther instead.
  Value narrowed(const Scope& s, const Value& x, int64_t out, int64_t dilation) const {
    const int64_t stride = dilation == 1 ? 2 : 1, reach = std::max<int64_t>(1, dilation / 2);
    return inverted(s, x, {.out = out, .stride = stride, .dilation = reach});
  }
};

/// How far the convolutions of the last three stages reach: from a stage on the image is as small as it may get.
inline int64_t dilation_of(int64_t stage, int64_t output_stride) {
  if (output_stride == 8 && stage > 0) return stage == 1 ? 2 : 4;
  return output_stride == 16 && stage == 2 ? 2 : 1;
}

struct DeepLabHead {
  int64_t channels, labels;
  std::vector<int64_t> rates;  ///< three distances
};
/// Every pixel, its surroundings at three distances, and the whole image: f[batch, n, rows, columns] -> f[batch,
/// labels, rows, columns]. Source: MobileViTDeepLabV3 and MobileViTV2DeepLabV3.
inline Value deep_lab(const Scope& head, const Operand& x, const MobileViTBlocks& blocks, const DeepLabHead& form) {
  const Scope convs = head / "aspp.convs";
  const auto seen = [&](const Scope& s, const Value& of, const ConvOptions& options) {
    return blocks.convolve(s, of, options, "relu");
  };
  std::vector<Value> parts{seen(convs / 0, x, {.out = form.channels})};
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t rate = form.rates[static_cast<size_t>(i)];
    parts.push_back(seen(convs / (i + 1), x, {.out = form.channels, .kernel = 3, .dilation = rate}));
  }
  const Value whole = seen(convs / 4 / "conv_1x1", global_average_pool(x), {.out = form.channels});
  parts.push_back(head.graph().op("Expand", {whole, head.graph().op("Shape", {parts[0]})}));
  const Value fused = seen(head / "aspp.project", concat(parts, 1), {.out = form.channels});
  return conv2d(head / "classifier.convolution", fused, {.out = form.labels});
}

}  // namespace onnxport::family

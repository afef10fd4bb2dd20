// SPDX-License-Identifier: Apache-2.0
// The stem and the blocks of EfficientNet, which ALIGN sees with. Source: EfficientNetModel, transformers 4.57
// (modeling_efficientnet.py).
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

struct EfficientNetBlocks {
  explicit EfficientNetBlocks(const Config& c)
      : channels(c.size("num_channels", 3)),
        wider(c.real("width_coefficient", 2)),
        deeper(c.real("depth_coefficient", 3.1)),
        divisor(c.size("depth_divisor", 8)),
        in(by_stage(c, "in_channels", {32, 16, 24, 40, 80, 112, 192}, 1)),
        out(by_stage(c, "out_channels", {16, 24, 40, 80, 112, 192, 320}, in.size())),
        kernels(by_stage(c, "kernel_sizes", {3, 3, 5, 3, 5, 5, 3}, in.size())),
        strides(by_stage(c, "strides", {1, 2, 2, 2, 1, 2, 1}, in.size())),
        repeats(by_stage(c, "num_block_repeats", {1, 2, 2, 3, 3, 4, 1}, in.size())),
        expansions(by_stage(c, "expand_ratios", {1, 6, 6, 6, 6, 6, 6}, in.size())),
        centred(c.integers("depthwise_padding")),
        squeeze(c.real("squeeze_expansion_ratio", 0.25)),
        hidden_act(c.text("hidden_act", "swish")),
        pools_means(c.choice("pooling_type", "mean", {"mean", "max"}) == "mean"),
        epsilon(c.real("batch_norm_eps", 0.001)) {
    // Of training; and convolutions take any size.
    c.no_effect({"image_size", "batch_norm_momentum", "dropout_rate", "drop_connect_rate", "num_hidden_layers"});
  }

  /// pixels: f[batch, channels, height, width] -> f[batch, the last stage's width, rows, columns]
  Value operator()(const Scope& model, const Value& pixels, const std::string& steps = {}) const {
    const Scope stem = model / "embeddings", blocks = model / "encoder.blocks";
    Value x = conv2d(stem / "convolution", pixels,
                     {.out = width(32), .kernel = 3, .stride = 2, .padding_behind = 1, .bias = false, .in = channels});
    x = activated(stem / "batchnorm", x);
    model.graph().mark(steps + "hidden_states.0", x);
    int64_t index = 0;
    for (size_t stage = 0; stage < in.size(); ++stage) {
      const auto count = static_cast<int64_t>(std::ceil(deeper * static_cast<double>(repeats[stage])));
      for (int64_t i = 0; i < count; ++i, ++index) {
        const bool is_centred = std::find(centred.begin(), centred.end(), index) != centred.end();
        x = block(
            blocks / index, x,
            {width(out[stage]), i == 0 ? strides[stage] : 1, kernels[stage], expansions[stage], is_centred, i == 0});
        model.graph().mark(steps + "hidden_states." + std::to_string(index + 1), x);
      }
    }
    return x;
  }
  /// f[batch, n, rows, columns] -> f[batch, n]. The original's window holds all of the image.
  Value pool(const Value& x) const { return pools_means ? mean_of_image(x) : largest(x, {2, 3}); }

  /// The nearest multiple of the divisor, but not less than nine tenths. Source: round_filters.
  int64_t width(int64_t of) const {
    const double wanted = static_cast<double>(of) * wider;
    const auto half = static_cast<int64_t>(wanted + static_cast<double>(divisor) / 2);
    const int64_t nearest = std::max(divisor, half / divisor * divisor);
    return static_cast<double>(nearest) < 0.9 * wanted ? nearest + divisor : nearest;
  }
  /// Normed by the statistics of the training, and through the activation.
  Value activated(const Scope& bn, const Value& x) const { return activation(batch_norm(bn, x, epsilon), hidden_act); }

  int64_t channels;
  double wider, deeper;
  int64_t divisor;
  std::vector<int64_t> in, out, kernels, strides, repeats, expansions;
  std::vector<int64_t> centred;  // blocks that pad both sides alike
  double squeeze;
  std::string hidden_act;
  bool pools_means;
  double epsilon;

 private:
  struct Block {
    int64_t out, stride, kernel, expansion;
    bool centred, first;
  };
  Value block(const Scope& s, const Value& x, const Block& b) const {
    const int64_t narrow = x.fixed(1), wide = narrow * b.expansion, half = b.kernel / 2;
    Value h = x;
    if (b.expansion != 1)
      h = activated(s / "expansion.expand_bn", conv2d(s / "expansion.expand_conv", x, {.out = wide, .bias = false}));
    // TensorFlow's padding, one less before than behind, where a stride leaves pixels out.
    const int64_t before = b.stride == 2 && !b.centred ? half - 1 : half;
    h = conv2d(s / "depthwise_conv.depthwise_conv", h,
               {.out = wide,
                .kernel = b.kernel,
                .stride = b.stride,
                .padding = before,
                .padding_behind = half,
                .groups = wide,
                .bias = false});
    h = excite(s / "squeeze_excite", activated(s / "depthwise_conv.depthwise_norm", h), narrow);
    h = conv2d(s / "projection.project_conv", h, {.out = b.out, .bias = false});
    h = batch_norm(s / "projection.project_bn", h, epsilon).in(s);
    return b.stride == 1 && !b.first ? h + x : h;
  }

  // Channels weighed by what the whole image holds.
  Value excite(const Scope& s, const Value& x, int64_t narrow) const {
    const auto reduced = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(narrow) * squeeze));
    const Value h = conv2d(s / "reduce", global_average_pool(x), {.out = reduced});
    return x * sigmoid(conv2d(s / "expand", activation(h, hidden_act), {.out = x.fixed(1)}));
  }
};

}  // namespace onnxport::family

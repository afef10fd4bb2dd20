// SPDX-License-Identifier: Apache-2.0
// EfficientNet. Source: EfficientNetModel and EfficientNetForImageClassification, transformers 4.57
// (modeling_efficientnet.py).
#include <algorithm>
#include <cmath>

#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct EfficientNetConfig {
  explicit EfficientNetConfig(const Config& c)
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
        activation(c.text("hidden_act", "swish")),
        pools_means(c.choice("pooling_type", "mean", {"mean", "max"}) == "mean"),
        epsilon(c.real("batch_norm_eps", 0.001)) {
    // Of training; and convolutions take any size.
    c.no_effect({"image_size", "batch_norm_momentum", "dropout_rate", "drop_connect_rate", "num_hidden_layers"});
    require_equal({"hidden_dim", c.size("hidden_dim", 2560)}, {"the width of the last convolution", width(1280)});
  }
  /// The nearest multiple of the divisor, but not less than nine tenths. Source: round_filters.
  int64_t width(int64_t of) const {
    const double wanted = static_cast<double>(of) * wider;
    const auto half = static_cast<int64_t>(wanted + static_cast<double>(divisor) / 2);
    const int64_t nearest = std::max(divisor, half / divisor * divisor);
    return static_cast<double>(nearest) < 0.9 * wanted ? nearest + divisor : nearest;
  }
  int64_t channels;
  double wider, deeper;
  int64_t divisor;
  std::vector<int64_t> in, out, kernels, strides, repeats, expansions;
  std::vector<int64_t> centred;  // blocks that pad both sides alike
  double squeeze;
  std::string activation;
  bool pools_means;
  double epsilon;
};

class EfficientNet final : public ImageEncoder {
 public:
  explicit EfficientNet(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "efficientnet"; }

 private:
  struct Block {
    int64_t out, stride, kernel, expansion;
    bool centred, first;
  };

  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    const Scope stem = model / "embeddings", encoder = model / "encoder";
    Value x =
        conv2d(stem / "convolution", pixels,
               {.out = c.width(32), .kernel = 3, .stride = 2, .padding_behind = 1, .bias = false, .in = c.channels});
    x = activated(stem / "batchnorm", x);
    model.graph().mark("hidden_states.0", x);
    int64_t index = 0;
    for (size_t stage = 0; stage < c.in.size(); ++stage) {
      const auto repeats = static_cast<int64_t>(std::ceil(c.deeper * static_cast<double>(c.repeats[stage])));
      for (int64_t i = 0; i < repeats; ++i, ++index) {
        const bool centred = std::find(c.centred.begin(), c.centred.end(), index) != c.centred.end();
        x = block(encoder / "blocks" / index, x,
                  {c.width(c.out[stage]), i == 0 ? c.strides[stage] : 1, c.kernels[stage], c.expansions[stage], centred,
                   i == 0});
        model.graph().mark("hidden_states." + std::to_string(index + 1), x);
      }
    }
    x = conv2d(encoder / "top_conv", x, {.out = c.width(1280), .bias = false});
    return {activated(encoder / "top_bn", x)};
  }
  // The window is as wide as an image has channels, and holds it all.
  Value pool(const Scope&, const ImageFeatures& made) const override {
    return c.pools_means ? mean_of_image(made.last) : largest(made.last, {2, 3});
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", pool(model, made), {.out = labels()});
  }

  Value block(const Scope& s, const Value& x, const Block& b) const {
    const int64_t in = x.fixed(1), wide = in * b.expansion, half = b.kernel / 2;
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
    h = excite(s / "squeeze_excite", activated(s / "depthwise_conv.depthwise_norm", h), in);
    h = conv2d(s / "projection.project_conv", h, {.out = b.out, .bias = false});
    h = batch_norm(s / "projection.project_bn", h, c.epsilon).in(s);
    return b.stride == 1 && !b.first ? h + x : h;
  }

  // Channels weighed by what the whole image holds.
  Value excite(const Scope& s, const Value& x, int64_t in) const {
    const auto reduced = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(in) * c.squeeze));
    const Value h = conv2d(s / "reduce", global_average_pool(x), {.out = reduced});
    return x * sigmoid(conv2d(s / "expand", activation(h, c.activation), {.out = x.fixed(1)}));
  }

  Value activated(const Scope& bn, const Value& x) const {
    return activation(batch_norm(bn, x, c.epsilon), c.activation);
  }

  const EfficientNetConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.efficientnet",
    .name = "EfficientNet",
    .models = {{.types = {"efficientnet"},
                .features = {"default", "image-classification"},
                .make = make<EfficientNet>}},
})

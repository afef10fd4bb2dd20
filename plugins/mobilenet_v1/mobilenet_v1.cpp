// SPDX-License-Identifier: Apache-2.0
// MobileNet V1. Source: MobileNetV1Model and MobileNetV1ForImageClassification, transformers 4.57
// (modeling_mobilenet_v1.py).
#include <algorithm>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct MobileNetV1Config {
  explicit MobileNetV1Config(const Config& c)
      : channels(c.size("num_channels", 3)),
        multiplier(c.real("depth_multiplier", 1)),
        narrowest(c.size("min_depth", 8)),
        activation(c.text("hidden_act", "relu6")),
        tensorflow_padding(c.boolean("tf_padding", true)),
        epsilon(c.real("layer_norm_eps", 0.001)) {
    c.no_effect({"image_size", "classifier_dropout_prob"});  // convolutions take any size
  }
  /// As wide as `depth` is, made narrower or wider.
  int64_t width(int64_t depth) const {
    return std::max(static_cast<int64_t>(static_cast<double>(depth) * multiplier), narrowest);
  }
  int64_t channels;
  double multiplier;
  int64_t narrowest;
  std::string activation;
  bool tensorflow_padding;
  double epsilon;
};

class MobileNetV1 final : public ImageEncoder {
 public:
  explicit MobileNetV1(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "mobilenet_v1"; }
  double atol_for_validation() const override { return 2e-4; }

 private:
  // Convolutions of each channel by itself, each with one at every pixel behind it, which widens where the image gets
  // smaller.
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    int64_t depth = 32, index = 0;
    Value x =
        convolve(model / "conv_stem", pixels, {.out = c.width(depth), .kernel = 3, .stride = 2, .in = c.channels});
    for (const int64_t stride : {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1}) {
      const int64_t in = x.fixed(1);
      if (stride == 2 || index == 0) depth *= 2;
      x = convolve(model / "layer" / index, x, {.out = in, .kernel = 3, .stride = stride, .groups = in});
      model.graph().mark("hidden_states." + std::to_string(index++), x);
      x = convolve(model / "layer" / index, x, {.out = c.width(depth)});
      model.graph().mark("hidden_states." + std::to_string(index++), x);
    }
    return {x};
  }
  bool puts_out_pooled() const override { return true; }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean_of_image(made.last); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean_of_image(made.last), {.out = labels()});
  }

  Value convolve(const Scope& s, const Value& x, ConvOptions options) const {
    options.bias = false;
    options.same = c.tensorflow_padding;
    options.padding = (options.kernel.height - 1) / 2;
    const Value h = conv2d(s / "convolution", x, options);
    return activation(batch_norm(s / "normalization", h, c.epsilon), c.activation);
  }

  const MobileNetV1Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mobilenet_v1",
    .name = "MobileNet V1",
    .models = {{.types = {"mobilenet_v1"}, .features = {"default", "image-classification"}, .make = make<MobileNetV1>}},
})

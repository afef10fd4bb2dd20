// SPDX-License-Identifier: Apache-2.0
// MobileNet V2. Source: MobileNetV2Model, MobileNetV2ForImageClassification and MobileNetV2ForSemanticSegmentation,
// transformers 4.57 (modeling_mobilenet_v2.py).
#include <algorithm>
#include <cmath>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct MobileNetV2Config {
  explicit MobileNetV2Config(const Config& c)
      : channels(c.size("num_channels", 3)),
        multiplier(c.real("depth_multiplier", 1)),
        divisor(c.size("depth_divisible_by", 8)),
        narrowest(c.size("min_depth", 8)),
        expansion(c.real("expand_ratio", 6)),
        output_stride(c.size("output_stride", 32)),
        first_is_expansion(c.boolean("first_layer_is_expansion", true)),
        finegrained(c.boolean("finegrained_output", true)),
        activation(c.text("hidden_act", "relu6")),
        tensorflow_padding(c.boolean("tf_padding", true)),
        epsilon(c.real("layer_norm_eps", 0.001)) {
    // Convolutions take any size; the others are of training.
    c.no_effect({"image_size", "classifier_dropout_prob", "semantic_loss_ignore_index"});
  }
  /// The nearest multiple of the divisor, but not less than nine tenths. Source: make_divisible.
  int64_t divisible(int64_t value) const {
    const auto half = static_cast<double>(value) + static_cast<double>(divisor) / 2;
    const int64_t nearest = std::max(narrowest, static_cast<int64_t>(half) / divisor * divisor);
    return static_cast<double>(nearest) < 0.9 * static_cast<double>(value) ? nearest + divisor : nearest;
  }
  int64_t width(int64_t of) const {
    return divisible(static_cast<int64_t>(std::nearbyint(static_cast<double>(of) * multiplier)));
  }
  int64_t expanded(int64_t of) const {
    return divisible(static_cast<int64_t>(std::nearbyint(static_cast<double>(of) * expansion)));
  }
  int64_t channels;
  double multiplier;
  int64_t divisor, narrowest;
  double expansion;
  int64_t output_stride;
  bool first_is_expansion, finegrained;
  std::string activation;
  bool tensorflow_padding;
  double epsilon;
};

class MobileNetV2 final : public ImageEncoder {
 public:
  explicit MobileNetV2(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "mobilenet_v2"; }
  double atol_for_validation() const override { return 2e-3; }

 private:
  struct Block {
    int64_t width, stride;
  };
  static constexpr Block blocks[] = {{24, 2}, {24, 1}, {32, 2}, {32, 1}, {32, 1},  {64, 2},  {64, 1},  {64, 1},
                                     {64, 1}, {96, 1}, {96, 1}, {96, 1}, {160, 2}, {160, 1}, {160, 1}, {320, 1}};

  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Value x = stem(model / "conv_stem", pixels);
    // Where the image is as small as it may get, convolutions reach farther instead.
    int64_t shrunk = 2, dilation = 1, index = 0;
    for (const Block& block : blocks) {
      const bool reached = shrunk == c.output_stride;
      x = inverted(
          model / "layer" / index, x,
          {.out = c.width(block.width), .stride = reached ? 1 : block.stride, .dilation = reached ? dilation : 1});
      if (reached)
        dilation *= block.stride;
      else
        shrunk *= block.stride;
      model.graph().mark("hidden_states." + std::to_string(index++), x);
    }
    if (task() == "semantic-segmentation") {
      model.graph().unused((model / "conv_1x1").path() + ".*");
      return {x};
    }
    const int64_t out = c.finegrained && c.multiplier < 1 ? 1280 : c.width(1280);
    return {convolve(model / "conv_1x1", x, {.out = out}, c.activation)};
  }
  bool puts_out_pooled() const override { return true; }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean_of_image(made.last); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean_of_image(made.last), {.out = labels()});
  }

  // Every pixel beside the mean of all. Source: MobileNetV2DeepLabV3Plus.
  Value segment(const Scope& model, const ImageFeatures& made) const override {
    const Scope head = model.graph().root() / "segmentation_head";
    const auto block = [&](const char* name, const Value& x) {
      const Value h = conv2d(head / name / "convolution", x, {.out = 256, .bias = false});
      return relu(batch_norm(head / name / "normalization", h));
    };
    const Value pixels = block("conv_aspp", made.last);
    const Value all = block("conv_pool", global_average_pool(made.last));
    const Value everywhere = model.graph().op("Expand", {all, model.graph().op("Shape", {pixels})});
    const Value h = block("conv_projection", concat({everywhere, pixels}, 1));
    return conv2d(head / "classifier.convolution", h, {.out = labels()});
  }

  Value stem(const Scope& s, const Value& pixels) const {
    const int64_t width = c.width(32);
    Value x =
        convolve(s / "first_conv", pixels, {.out = width, .kernel = 3, .stride = 2, .in = c.channels}, c.activation);
    if (!c.first_is_expansion) x = convolve(s / "expand_1x1", x, {.out = width}, c.activation);
    x = convolve(s / "conv_3x3", x, {.out = width, .kernel = 3, .groups = width}, c.activation);
    return convolve(s / "reduce_1x1", x, {.out = c.width(16)}, "");
  }

  // Widened, convolved channel by channel, and narrowed again; beside a shortcut where the shape stays.
  Value inverted(const Scope& s, const Value& x, const ConvOptions& of) const {
    const int64_t width = c.expanded(x.fixed(1));
    Value h = convolve(s / "expand_1x1", x, {.out = width}, c.activation);
    h = convolve(s / "conv_3x3", h,
                 {.out = width, .kernel = 3, .stride = of.stride, .dilation = of.dilation, .groups = width},
                 c.activation);
    h = convolve(s / "reduce_1x1", h, {.out = of.out}, "");
    return of.stride.height == 1 && x.fixed(1) == of.out ? x.in(s) + h : h;
  }

  Value convolve(const Scope& s, const Value& x, ConvOptions options, const std::string& act) const {
    options.bias = false;
    // Without a stride TensorFlow pads both sides alike.
    options.same = c.tensorflow_padding && options.stride.height > 1;
    options.padding = (options.kernel.height - 1) / 2 * options.dilation.height;
    const Value h = batch_norm(s / "normalization", conv2d(s / "convolution", x, options), c.epsilon);
    return act.empty() ? h : activation(h, act);
  }

  const MobileNetV2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mobilenet_v2",
    .name = "MobileNet V2",
    .models = {{.types = {"mobilenet_v2"},
                .features = {"default", "image-classification", "semantic-segmentation"},
                .make = make<MobileNetV2>}},
})

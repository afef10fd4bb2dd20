// SPDX-License-Identifier: Apache-2.0
// VAN: where a transformer attends, convolutions of large kernels weigh every pixel. Source: VanModel and
// VanForImageClassification, transformers 4.57 (modeling_van.py).
#include <onnxport/blocks/norm.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct VanConfig {
  explicit VanConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        widths(by_stage(c, "hidden_sizes", {64, 128, 320, 512}, 1)),
        depths(by_stage(c, "depths", {3, 3, 12, 3}, widths.size())),
        kernels(by_stage(c, "patch_sizes", {7, 3, 3, 3}, widths.size())),
        strides(by_stage(c, "strides", {4, 2, 2, 2}, widths.size())),
        ratios(by_stage(c, "mlp_ratios", {8, 8, 4, 4}, widths.size())),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)) {
    // Of training; and convolutions take any size.
    c.no_effect({"image_size", "layer_scale_init_value", "drop_path_rate", "dropout_rate"});
  }
  int64_t channels;
  std::vector<int64_t> widths, depths, kernels, strides, ratios;
  std::string activation;
  double epsilon;
};

class Van final : public ImageEncoder {
 public:
  explicit Van(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "van"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    model.graph().unused("*" + (model / "layernorm").path() + ".*");  // which the class makes and does not use
    Value x = pixels;
    for (size_t i = 0; i < c.widths.size(); ++i) {
      const Scope stage = model / "encoder.stages" / static_cast<int64_t>(i);
      x = conv2d(stage / "embeddings.convolution", x,
                 {.out = c.widths[i],
                  .kernel = c.kernels[i],
                  .stride = c.strides[i],
                  .padding = c.kernels[i] / 2,
                  .in = i == 0 ? c.channels : 0});
      x = batch_norm(stage / "embeddings.normalization", x);
      for (int64_t j = 0; j < c.depths[i]; ++j) x = layer(stage / "layers" / j, x, c.ratios[i]);
      x = channels_first(norm(stage / "normalization", channels_last(x), {.epsilon = c.epsilon}));
      model.graph().mark("hidden_states." + std::to_string(i), x);
    }
    return {x};
  }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean_of_image(made.last); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean_of_image(made.last), {.out = labels()});
  }

  // Both halves are normed before, and scaled by a learnt factor a channel. The first norm's name is the original's.
  Value layer(const Scope& s, const Value& x, int64_t ratio) const {
    const Value y =
        x.in(s) + scaled(s / "attention_scaling", weigh(s / "attention", batch_norm(s / "pre_normomalization", x)));
    return y + scaled(s / "mlp_scaling", bottleneck(s / "mlp", batch_norm(s / "post_normalization", y), ratio));
  }
  static Value scaled(const Scope& s, const Value& x) {
    return unsqueeze(s.weight("weight", {x.fixed(1)}), {1, 2}) * x;
  }

  // Source: VanSpatialAttentionLayer.
  Value weigh(const Scope& s, const Value& x) const {
    const int64_t width = x.fixed(1);
    const Value h = activation(conv2d(s / "pre_projection.conv", x, {.out = width}), c.activation);
    const Scope kernels = s / "attention_layer.attention";
    Value far = conv2d(kernels / "depth_wise", h, {.out = width, .kernel = 5, .padding = 2, .groups = width});
    far = conv2d(kernels / "depth_wise_dilated", far,
                 {.out = width, .kernel = 7, .padding = 9, .dilation = 3, .groups = width});
    const Value weights = conv2d(kernels / "point_wise", far, {.out = width});
    return conv2d(s / "post_projection", h * weights, {.out = width}) + x;
  }

  Value bottleneck(const Scope& s, const Value& x, int64_t ratio) const {
    const int64_t width = x.fixed(1), inner = width * ratio;
    Value h = conv2d(s / "in_dense", x, {.out = inner});
    h = conv2d(s / "depth_wise", h, {.out = inner, .kernel = 3, .padding = 1, .groups = inner});
    return conv2d(s / "out_dense", activation(h, c.activation), {.out = width});
  }

  const VanConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.van",
    .name = "VAN",
    .models = {{.types = {"van"}, .features = {"default", "image-classification"}, .make = make<Van>}},
})

// SPDX-License-Identifier: Apache-2.0
// MobileViT: MobileNet's blocks, and transformers between pixels that have the same place in their patches.
// Source: MobileViTModel, MobileViTForImageClassification and MobileViTForSemanticSegmentation, transformers 4.57
// (modeling_mobilevit.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mobilevit.hpp>

using namespace onnxport::family;

namespace {

struct MobileViTConfig {
  explicit MobileViTConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        patch(c.size("patch_size", 2)),
        widths(by_stage(c, "hidden_sizes", {144, 192, 240}, 3)),
        necks(by_stage(c, "neck_hidden_sizes", {16, 32, 64, 96, 128, 160, 640}, 7)),
        heads(c.size("num_attention_heads", 4)),
        ratio(c.real("mlp_ratio", 2)),
        expansion(c.real("expand_ratio", 4)),
        activation(c.text("hidden_act", "silu")),
        kernel(c.size("conv_kernel_size", 3)),
        output_stride(c.size("output_stride", 32)),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        qkv_bias(c.boolean("qkv_bias", true)),
        pyramid(c.size("aspp_out_channels", 256)),
        rates(by_stage(c, "atrous_rates", {6, 12, 18}, 3)) {
    // Of training; and any size of image goes through.
    c.no_effect({"image_size", "semantic_loss_ignore_index"});
    for (const int64_t width : widths) require_multiple({"hidden_sizes", width}, {"num_attention_heads", heads});
  }
  int64_t channels, patch;
  std::vector<int64_t> widths, necks;
  int64_t heads;
  double ratio, expansion;
  std::string activation;
  int64_t kernel, output_stride;
  double epsilon;
  bool qkv_bias;
  int64_t pyramid;
  std::vector<int64_t> rates;
};

class MobileViT final : public ImageEncoder {
 public:
  explicit MobileViT(const Request& request)
      : ImageEncoder(request), c(request.config), blocks{c.activation, c.expansion} {}
  std::string base_model_prefix() const override { return "mobilevit"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    Value x =
        blocks.convolve(model / "conv_stem", pixels, {.out = c.necks[0], .kernel = 3, .stride = 2, .in = c.channels});
    const Scope layers = model / "encoder.layer";
    x = blocks.inverted(layers / 0 / "layer" / 0, x, {.out = c.necks[1]});
    g.mark("hidden_states.0", x);
    for (int64_t i = 0; i < 3; ++i)
      x = blocks.inverted(layers / 1 / "layer" / i, x, {.out = c.necks[2], .stride = i == 0 ? 2 : 1});
    g.mark("hidden_states.1", x);
    for (size_t i = 0; i < 3; ++i) {
      const auto stage = static_cast<int64_t>(i);
      constexpr int64_t depths[] = {2, 4, 3};
      x = mobile_vit(layers / (2 + stage), x,
                     {c.necks[3 + i], c.widths[i], depths[i], dilation_of(stage, c.output_stride)});
      g.mark("hidden_states." + std::to_string(2 + i), x);
    }
    if (task() == "semantic-segmentation") {
      g.unused((model / "conv_1x1_exp").path() + ".*");
      return {x};
    }
    return {blocks.convolve(model / "conv_1x1_exp", x, {.out = c.necks[6]})};
  }
  bool puts_out_pooled() const override { return true; }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean_of_image(made.last); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean_of_image(made.last), {.out = labels()});
  }

  Value segment(const Scope& model, const ImageFeatures& made) const override {
    return deep_lab(model.graph().root() / "segmentation_head", made.last, blocks, {c.pyramid, labels(), c.rates});
  }

  struct Layer {
    int64_t neck, width, depth, dilation;
  };
  Value mobile_vit(const Scope& s, const Value& given, const Layer& of) const {
    const Value x = blocks.narrowed(s / "downsampling_layer", given, of.neck, of.dilation);
    Value h = blocks.convolve(s / "conv_kxk", x, {.out = of.neck, .kernel = c.kernel});
    h = conv2d(s / "conv_1x1.convolution", h, {.out = of.width, .bias = false});
    h = transform(s, h, of);
    h = blocks.convolve(s / "conv_projection", h, {.out = of.neck});
    return blocks.convolve(s / "fusion", concat({x.in(s), h}, 1), {.out = of.neck, .kernel = c.kernel});
  }

  // Pixels attend to those at the same place of all patches, to whole ones of which an image is resampled.
  Value transform(const Scope& s, const Value& image, const Layer& of) const {
    Graph& g = s.graph();
    const int64_t p = c.patch;
    const auto whole = [&](int64_t axis) {
      const Value length = size_of(image, axis);
      return unsqueeze(length + missing_to_multiple(length, p), {0});
    };
    const InterpolateOptions how{.how = Interpolation::bilinear};
    const Value resized = interpolate(image, concat({whole(2), whole(3)}, 0), how);
    const Value rows =
        reshape(resized, concat({shape_of(resized, 0, 2), g.integers({-1, p}), shape_of(resized, 3, 4)}, 0));
    const Value cut = reshape(rows, concat({shape_of(rows, 0, 4), g.integers({-1, p})}, 0));
    const Value places = transpose(cut, {0, 3, 5, 2, 4, 1});  // [batch, p, p, rows, columns, width]
    const Value by_place = reshape(places, {0, p * p, -1, of.width});
    Value x = reshape(by_place, concat({g.integers({-1}), shape_of(by_place, 2, 4)}, 0));

    x = transformer_layers(s / "transformer.layer", x,
                           {.count = of.depth, .layer = [&](int64_t) { return layer(of); }, .steps = s.path() + "."},
                           {});
    x = norm(s / "layernorm", x, {.epsilon = c.epsilon});

    const Value back = transpose(reshape(x, shape_of(places, 0, 6)), {0, 5, 3, 1, 4, 2});
    const Value again = interpolate(reshape(back, shape_of(resized, 0, 4)), shape_of(image, 2, 4), how);
    return reshape(again, shape_of(image, 0, 4));
  }

  TransformerLayer layer(const Layer& of) const {
    return {.attention_at = "attention",
            .feed_forward_at = "",
            .attention = {.heads = c.heads,
                          .head_size = of.width / c.heads,
                          .projections = {.query = "attention.query",
                                          .key = "attention.key",
                                          .value = "attention.value",
                                          .output = "output.dense",
                                          .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, true}}},
            .feed_forward = {.inner = static_cast<int64_t>(static_cast<double>(of.width) * c.ratio),
                             .activation = c.activation,
                             .up = "intermediate.dense",
                             .down = "output.dense",
                             .bias = true},
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "layernorm_before"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "layernorm_after"}};
  }

  const MobileViTConfig c;
  const MobileViTBlocks blocks;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mobilevit",
    .name = "MobileViT",
    .models = {{.types = {"mobilevit"},
                .features = {"default", "image-classification", "semantic-segmentation"},
                .make = make<MobileViT>}},
})

// SPDX-License-Identifier: Apache-2.0
// MobileViT's second version: pixels that have the same place in their patches are weighed by one score each.
// Source: MobileViTV2Model, MobileViTV2ForImageClassification and MobileViTV2ForSemanticSegmentation, transformers 4.57
// (modeling_mobilevitv2.py).
#include <onnxport/families/mobilevit.hpp>

using namespace onnxport::family;

namespace {

/// The last three stages.
struct Stage {
  int64_t out, width, inner, layers;  // of the stage's result, and of its transformer
  int64_t dilation;
};

struct MobileViTV2Config {
  explicit MobileViTV2Config(const Config& c)
      : channels(c.size("num_channels", 3)),
        patch(c.size("patch_size", 2)),
        blocks{c.text("hidden_act", "swish"), c.real("expand_ratio", 2)},
        kernel(c.size("conv_kernel_size", 3)),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        pyramid(c.size("aspp_out_channels", 512)),
        rates(by_stage(c, "atrous_rates", {6, 12, 18}, 3)) {
    // Of training; and any size of image goes through.
    c.no_effect({"image_size", "classifier_dropout_prob", "aspp_dropout_prob", "attn_dropout", "ffn_dropout",
                 "semantic_loss_ignore_index"});
    const double share = c.real("width_multiplier", 1), ratio = c.real("ffn_multiplier", 2);
    const auto narrow = [&](int64_t width, int64_t divisor = 8) {
      return nearest_multiple(static_cast<double>(width) * share, divisor);
    };
    widths = {nearest_multiple(std::clamp(32 * share, 16.0, 64.0), 8, 16), narrow(64, 16), narrow(128)};
    const auto layers = by_stage(c, "n_attn_blocks", {2, 4, 3}, 3);
    const auto units = by_stage(c, "base_attn_unit_dims", {128, 192, 256}, 3);
    const int64_t output_stride = c.integer("output_stride", 32);
    constexpr int64_t outs[] = {256, 384, 512};
    for (size_t i = 0; i < 3; ++i) {
      const int64_t width = narrow(units[i]);
      const auto inner = static_cast<int64_t>(std::floor(ratio * static_cast<double>(width) / 16)) * 16;
      if (inner <= 0) {
        throw Error(ONNXPORT_CONFIG, "config field 'ffn_multiplier' leaves no width; it is " + std::to_string(ratio) +
                                         " for attention of the width " + std::to_string(width) +
                                         ", and feed-forwards are multiples of 16 wide");
      }
      stages.push_back({narrow(outs[i]), width, inner, layers[i], dilation_of(static_cast<int64_t>(i), output_stride)});
    }
  }
  int64_t channels, patch;
  MobileViTBlocks blocks;
  int64_t kernel;
  double epsilon;
  int64_t pyramid;
  std::vector<int64_t> rates;
  std::vector<int64_t> widths;  // of the stem and of the first two stages
  std::vector<Stage> stages;
};

class MobileViTV2 final : public ImageEncoder {
 public:
  explicit MobileViTV2(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "mobilevitv2"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    const ConvOptions stem{.out = c.widths[0], .kernel = 3, .stride = 2, .in = c.channels};
    Value x = c.blocks.convolve(model / "conv_stem", pixels, stem);
    const Scope layers = model / "encoder.layer";
    x = c.blocks.inverted(layers / 0 / "layer" / 0, x, {.out = c.widths[1]});
    g.mark("hidden_states.0", x);
    for (int64_t i = 0; i < 2; ++i)
      x = c.blocks.inverted(layers / 1 / "layer" / i, x, {.out = c.widths[2], .stride = i == 0 ? 2 : 1});
    g.mark("hidden_states.1", x);
    for (int64_t i = 0; i < 3; ++i) {
      x = run(layers / (2 + i), x, c.stages[static_cast<size_t>(i)]);
      g.mark("hidden_states." + std::to_string(2 + i), x);
    }
    return {x};
  }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean_of_image(made.last); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean_of_image(made.last), {.out = labels()});
  }
  Value segment(const Scope& model, const ImageFeatures& made) const override {
    return deep_lab(model.graph().root() / "segmentation_head", made.last, c.blocks, {c.pyramid, labels(), c.rates});
  }

  Value run(const Scope& s, const Value& given, const Stage& of) const {
    const Value x = c.blocks.narrowed(s / "downsampling_layer", given, of.out, of.dilation);
    Value h = c.blocks.convolve(s / "conv_kxk", x, {.out = of.out, .kernel = c.kernel, .groups = of.out});
    h = conv2d(s / "conv_1x1.convolution", h, {.out = of.width, .bias = false});
    return c.blocks.convolve(s / "conv_projection", transform(s, h, of), {.out = of.out}, "linear");
  }

  // Whole patches of an image; what is behind them becomes 0.
  Value transform(const Scope& s, const Value& image, const Stage& of) const {
    Graph& g = s.graph();
    const int64_t p = c.patch;
    const Value none = g.integer(0);
    const auto rest = [&](int64_t axis) { return g.op("Mod", {size_of(image, axis), g.integer(p)}); };
    const Value ends = shape_of(image, 2, 4) - concat({unsqueeze(rest(2), {0}), unsqueeze(rest(3), {0})}, 0);
    const Value whole = g.op("Slice", {image, g.integers({0, 0}), ends}, {{"axes", {2, 3}}});
    const Value rows = reshape(whole, concat({shape_of(whole, 0, 2), g.integers({-1, p}), shape_of(whole, 3, 4)}, 0));
    const Value cut = reshape(rows, concat({shape_of(rows, 0, 4), g.integers({-1, p})}, 0));
    const Value places = transpose(cut, {0, 1, 3, 5, 2, 4});  // [batch, width, p, p, rows, columns]
    Value x = reshape(places, {0, of.width, p * p, -1});
    for (int64_t i = 0; i < of.layers; ++i) x = layer(s / "transformer.layer" / i, x, of);
    x = normed(s / "layernorm", x);
    const Value back = transpose(reshape(x, shape_of(places, 0, 6)), {0, 1, 4, 2, 5, 3});
    return pad(reshape(back, shape_of(whole, 0, 4)), {OpenPad{2, none, rest(2)}, OpenPad{3, none, rest(3)}});
  }

  // x: f[batch, width, places of a patch, patches] -> the same
  Value layer(const Scope& s, const Value& x, const Stage& of) const {
    const Value y = weigh(s / "attention", normed(s / "layernorm_before", x)).in(s) + x;
    const Scope ffn = s / "ffn";
    Value h = conv2d(ffn / "conv1.convolution", normed(s / "layernorm_after", y), {.out = of.inner}).in(ffn);
    h = conv2d(ffn / "conv2.convolution", activation(h, c.blocks.activation), {.out = of.width});
    return h.in(s) + y;
  }
  Value normed(const Scope& s, const Value& x) const { return group_norm(s, x, {.groups = 1, .epsilon = c.epsilon}); }

  // The keys of all patches, each by its share of the scores, weigh the values. Source: MobileViTV2LinearSelfAttention.
  static Value weigh(const Scope& s, const Value& x) {
    const int64_t width = x.fixed(1);
    const Value all = conv2d(s / "qkv_proj.convolution", x, {.out = 1 + 2 * width}).in(s);
    const std::vector<Value> parts = split(all, 1, {1, width, width});
    const Value context = unsqueeze(sum(parts[1] * softmax(parts[0]), {3}), {3});
    return conv2d(s / "out_proj.convolution", relu(parts[2]) * context, {.out = width});
  }

  const MobileViTV2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mobilevitv2",
    .name = "MobileViTV2",
    .models = {{.types = {"mobilevitv2"},
                .features = {"default", "image-classification", "semantic-segmentation"},
                .make = make<MobileViTV2>}},
})

// SPDX-License-Identifier: Apache-2.0
// Swin2SR: images of a higher resolution, by layers of Swin's second version between convolutions. Source: Swin2SRModel
// and Swin2SRForImageSuperResolution, transformers 4.57 (modeling_swin2sr.py).
#include <algorithm>

#include <onnxport/blocks/angular_window_layer.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char* super_resolution = "image-to-image";
constexpr int64_t head_width = 64;

struct Swin2SRConfig {
  explicit Swin2SRConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        channels_out(c.size("num_channels_out", channels)),
        width(c.size("embed_dim", 180)),
        depths(by_stage(c, "depths", {6, 6, 6, 6, 6, 6}, 1)),
        heads(by_stage(c, "num_heads", {6, 6, 6, 6, 6, 6}, depths.size())),
        window(c.size("window_size", 8)),
        inner(static_cast<int64_t>(c.real("mlp_ratio", 2) * static_cast<double>(width))),
        qkv_bias(c.boolean("qkv_bias", true)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        scale(c.size("upscale", 2)),
        range(c.real("img_range", 1)),
        three_convolutions(c.choice("resi_connection", "1conv", {"1conv", "3conv"}) == "3conv"),
        upsampler(c.is_null("upsampler") ? "" : c.text("upsampler", "pixelshuffle")) {
    c.no_effect({"drop_path_rate", "num_layers", "num_hidden_layers"});  // of training, and what follows from depths
    for (const int64_t count : heads) require_multiple({"embed_dim", width}, {"num_heads", count});
    const auto refuse = [](const std::string& what) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field " + what + "; the original fails with any other");
    };
    const Extent patch = extent(c, "patch_size", 1);
    if (patch.area() != 1) refuse("'patch_size' is larger than 1; supported: 1");
    if (c.boolean("use_absolute_embeddings", false)) refuse("'use_absolute_embeddings' is true; supported: false");
    const bool doubles = (scale & (scale - 1)) == 0;
    if (upsampler.starts_with("pixelshuffle") && upsampler != "pixelshuffledirect" && !doubles && scale != 3)
      refuse("'upscale' is " + std::to_string(scale) + "; supported with this upsampler: powers of 2, and 3");
    if (upsampler == "nearest+conv" && scale != 4)
      refuse("'upscale' is " + std::to_string(scale) + "; supported with the upsampler nearest+conv: 4");
    if (upsampler == "pixelshuffle_aux" && channels != 3)
      refuse("'num_channels' is " + std::to_string(channels) + "; supported with the upsampler pixelshuffle_aux: 3");
    // Windows are no larger than an image that the model was trained for, and are shifted where there is room for two.
    const Extent image = extent(c, "image_size", 64);
    shifts = image.height > window;
    window = std::min(window, image.height);
    step = c.size("window_size", 8);
  }
  int64_t channels, channels_out, width;
  std::vector<int64_t> depths, heads;
  int64_t window, inner;
  bool qkv_bias;
  std::string activation;
  double epsilon;
  int64_t scale;
  double range;             // of a pixel
  bool three_convolutions;  // behind a stage
  std::string upsampler;
  bool shifts = false;
  int64_t step = 1;  // to multiples of which images are padded
};

class Swin2SR final : public OnnxConfig {
 public:
  explicit Swin2SR(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"embed_dim", "hidden_size"}, {"num_heads", "num_attention_heads"}})) {}

  std::string base_model_prefix() const override { return "swin2sr"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override {
    const Dim channels = Dim::open(c.channels, axis::num_channels);
    return {input::pixels("pixel_values", {axis::batch, channels, axis::height, axis::width})};
  }
  std::vector<OutputSpec> outputs() const override {
    return task() == super_resolution ? reconstruction_outputs()
                                      : std::vector<OutputSpec>{{"last_hidden_state", {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    g.unused("*relative_position_index");
    g.unused("*relative_coords_table");
    const Value pixels = in.at("pixel_values");
    if (task() != super_resolution) return {{"last_hidden_state", encode(g.root(), pixels)}};
    const Value features = encode(g.root() / base_model_prefix(), pixels);
    const Value image = upsample(g.root(), features, pixels) / c.range + mean_pixel(g);
    return {{"reconstruction", cropped(image, shape_of(pixels, 2, 4) * g.integer(c.scale))}};
  }

 private:
  // Of colours alone.
  Value mean_pixel(Graph& g) const {
    if (c.channels == 3 && c.channels_out == 3)
      return g.constant<float>(DType::f32, {1, 3, 1, 1}, {0.4488f, 0.4371f, 0.4040f});
    return g.constant<float>(DType::f32, {1, 1, 1, 1}, {0.0f});
  }
  // The upper left corner of an image: size: i64[2].
  static Value cropped(const Value& image, const Value& size) {
    Graph& g = image.graph();
    return g.op("Slice", {image, g.integers({0, 0}), size}, {{"axes", {2, 3}}});
  }
  static Value convolve(const Scope& s, const Value& x, int64_t out) {
    return conv2d(s, x, {.out = out, .kernel = 3, .padding = 1});
  }
  static Value leaky(const Value& x, double slope) { return x.graph().op("LeakyRelu", {x}, {{"alpha", slope}}); }

  // An axis up to a multiple of a window's side, as by a mirror at its last entry.
  Value mirrored(const Value& x, int64_t axis) const {
    const Value length = size_of(x, axis), last = length - 1;
    const Value place = range(length + missing_to_multiple(length, c.step));
    return gather(x, last - x.graph().op("Abs", {last - place}), axis);
  }

  // f[batch, channels, height, width] -> f[batch, width, …] of images whose sides are multiples of a window's.
  Value encode(const Scope& model, const Value& pixels) const {
    Graph& g = model.graph();
    const Value whole = mirrored(mirrored(pixels.in(model), 2), 3);
    const Value given = (whole - mean_pixel(g)) * c.range;
    const Value image =
        conv2d(model / "first_convolution", given, {.out = c.width, .kernel = 3, .padding = 1, .in = c.channels});
    const Value size = shape_of(image, 2, 4);
    const TokenGrid grid{size_of(image, 2), size_of(image, 3)};
    const Windows plain = windows_over(grid, {.size = c.window});
    const WindowOptions half{.size = c.window, .shift = g.integer(c.window / 2), .apart = angular_windows_apart};
    const Windows shifted = c.shifts ? windows_over(grid, half) : plain;

    const Scope patches = model / "embeddings.patch_embeddings";
    Value x = norm(patches / "layernorm", tokens_of(conv2d(patches / "projection", image, {.out = c.width})), {});
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const Scope stage = model / "encoder.stages" / static_cast<int64_t>(i);
      g.mark("hidden_states." + std::to_string(i), x);
      const AngularWindowLayer layer{c.heads[i], c.inner, c.activation, c.qkv_bias, c.epsilon};
      Value h = x;
      for (int64_t j = 0; j < c.depths[i]; ++j) h = layer(stage / "layers" / j, h, j % 2 == 0 ? plain : shifted);
      h = behind_stage(stage / "conv", image_of(h, size));
      x = tokens_of(conv2d(stage / "patch_embed.projection", h, {.out = c.width})).in(stage) + x;
    }
    x = norm(model / "layernorm", x, {.epsilon = c.epsilon});
    return convolve(model / "conv_after_body", image_of(x, size), c.width) + image;
  }
  Value behind_stage(const Scope& s, const Value& x) const {
    if (!c.three_convolutions) return convolve(s, x, c.width);
    const int64_t narrow = c.width / 4;
    const Value h = leaky(convolve(s / 0, x, narrow), 0.2);
    return convolve(s / 4, leaky(conv2d(s / 2, h, {.out = narrow}), 0.2), c.width);
  }

  // f[batch, width, …] -> f[batch, channels_out, …], not yet in the pixels' range.
  Value upsample(const Scope& root, const Value& x, const Value& pixels) const {
    const Scope s = root / "upsample";
    if (c.upsampler == "pixelshuffledirect")
      return pixel_shuffle(convolve(s / "conv", x, c.scale * c.scale * c.channels_out), c.scale);
    if (c.upsampler == "pixelshuffle") return last(s, enlarged(s / "upsample", first(s, x)));
    if (c.upsampler == "nearest+conv") return by_neighbours(s, first(s, x));
    if (c.upsampler == "pixelshuffle_aux") return beside_bicubic(s, first(s, x), pixels);
    return pixels + cropped(convolve(root / "final_convolution", x, c.channels_out), shape_of(pixels, 2, 4));
  }
  static Value first(const Scope& s, const Value& x) {
    return leaky(convolve(s / "conv_before_upsample", x, head_width), 0.01);
  }
  Value last(const Scope& s, const Value& x) const { return convolve(s / "final_convolution", x, c.channels_out); }
  // Source: Upsample.
  Value enlarged(const Scope& s, Value x) const {
    if (c.scale == 3) return pixel_shuffle(convolve(s / "convolution", x, 9 * head_width), 3);
    int64_t done = 1;
    for (int64_t i = 0; done < c.scale; ++i, done *= 2)
      x = pixel_shuffle(convolve(s / ("convolution_" + std::to_string(i)), x, 4 * head_width), 2);
    return x;
  }
  // Source: NearestConvUpsampler.
  Value by_neighbours(const Scope& s, Value x) const {
    for (const char* name : {"conv_up1", "conv_up2"}) {
      x = interpolate(x, std::vector<double>{2, 2}, {.how = Interpolation::nearest});
      x = leaky(convolve(s / name, x, head_width), 0.2);
    }
    return last(s, leaky(convolve(s / "conv_hr", x, head_width), 0.2));
  }
  // Source: PixelShuffleAuxUpsampler.
  Value beside_bicubic(const Scope& s, const Value& x, const Value& pixels) const {
    const Value size = shape_of(pixels, 2, 4) * s.graph().integer(c.scale);
    const Value smooth = convolve(s / "conv_bicubic", interpolate(pixels, size, Interpolation::bicubic), head_width);
    const Value aside = convolve(s / "conv_aux", x, c.channels);
    const Value h = leaky(convolve(s / "conv_after_aux" / 0, aside, head_width), 0.01);
    return last(s, cropped(enlarged(s / "upsample", h), size) + smooth);
  }

  const Swin2SRConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.swin2sr",
    .name = "Swin2SR",
    .models = {{.types = {"swin2sr"},
                .features = {"default", "image-to-image"},
                .architectures = {{"Swin2SRForImageSuperResolution", "image-to-image"}},
                .make = make<Swin2SR>}},
})

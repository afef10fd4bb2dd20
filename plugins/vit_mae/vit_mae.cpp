// SPDX-License-Identifier: Apache-2.0
// The masked autoencoder: ViT over some of an image's patches, and a decoder that fills in the others. Which patches
// these are follows from an input, the noise that the original draws by itself where it is given none.
// Source: ViTMAEModel and ViTMAEForPreTraining, transformers 4.57 (modeling_vit_mae.py).
#include <onnxport/families/vit.hpp>
#include <onnxport/selection.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* patches_axis = "patches";

struct MaeConfig {
  explicit MaeConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        channels(c.size("num_channels", 3)),
        patch(extent(c, "patch_size", 16)),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        mask_ratio(c.real("mask_ratio", 0.75)),
        norms_pixels(c.boolean("norm_pix_loss", false)),
        decoder_hidden(c.size("decoder_hidden_size", 512)),
        decoder_layers(c.count("decoder_num_hidden_layers", 8)) {
    const Extent image = extent(c, "image_size", 224);
    grid = {image.height / patch.height, image.width / patch.width};
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
    if (mask_ratio < 0 || mask_ratio >= 1) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'mask_ratio' is " + std::to_string(mask_ratio) + "; expected 0 or more, below 1");
    }
    const std::string activation = c.text("hidden_act", "gelu");
    const bool bias = c.boolean("qkv_bias", true);
    layer = {hidden, c.size("num_attention_heads", 12), c.size("intermediate_size", 3072), activation, epsilon, bias};
    decoder_layer = {decoder_hidden,
                     c.size("decoder_num_attention_heads", 16),
                     c.size("decoder_intermediate_size", 2048),
                     activation,
                     epsilon,
                     bias};
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", layer.heads});
    require_multiple({"decoder_hidden_size", decoder_hidden}, {"decoder_num_attention_heads", decoder_layer.heads});
  }

  int64_t hidden, layers, channels;
  Extent patch;
  double epsilon, mask_ratio;
  bool norms_pixels;  // of the loss
  int64_t decoder_hidden, decoder_layers;
  Extent grid = 1;  // of patches, for which positions were trained
  ViTLayer layer{}, decoder_layer{};
};

/// Rows of every image by their numbers: x: f[batch, n, width], numbers: i64[batch, m] -> f[batch, m, width].
Value rows_of(const Value& x, const Value& numbers) {
  return x.graph().op("GatherND", {x, unsqueeze(numbers, {2})}, {{"batch_dims", 1}});
}

/// The first `length` rows of every image: x: any[batch, n], length: i64 scalar -> any[batch, length].
Value first_of_each(const Value& x, const Value& length) {
  Graph& g = x.graph();
  return g.op("Slice", {x, g.integers({0}), unsqueeze(length, {0})}, {{"axes", {1}}});
}

class Mae final : public OnnxConfig {
 public:
  explicit Mae(const Request& request) : OnnxConfig(request), c(request.config) {}

  std::string base_model_prefix() const override { return "vit"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override {
    return {pixel_values(), {.name = "noise", .dtype = DType::f32, .shape = {axis::batch, patches_axis}}};
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "pretraining") return {{"logits", {{0, axis::batch}, {1, patches_axis}}}};
    return OnnxConfig::outputs();
  }
  // In validation as many numbers as the trained image has patches; of larger images the others are not kept then.
  std::vector<AxisSize> axis_sizes() const override {
    const int64_t count = c.grid.area();
    return {{.axis = patches_axis, .usual = count, .minimum = count, .maximum = count}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool pretraining = task() == "pretraining";
    const Scope model = pretraining ? g.root() / base_model_prefix() : g.root();
    const Patches patches = patch_stem(model / "embeddings", in.at("pixel_values"),
                                       {.width = c.hidden,
                                        .patch = c.patch,
                                        .channels = c.channels,
                                        .first_tokens = {"cls_token"},
                                        .positions = "position_embeddings",
                                        .grid = c.grid});
    const Kept kept = kept_by(in.at("noise"));
    const Value tokens = rows_of(slice(patches.tokens, {1, 1}), kept.numbers);
    Value x = concat({slice(patches.tokens, {1, 0, 1}), tokens}, 1);
    x = transformer_layers(model / "encoder.layer", x, {c.layers, [this](int64_t) { return c.layer.form(); }}, {});
    g.mark("hidden_states." + std::to_string(c.layers), x);
    const Value hidden = norm(model / "layernorm", x, {.epsilon = c.epsilon});
    g.mark("mask", kept.mask);
    g.mark("ids_restore", kept.restore);
    if (!pretraining) return {{"last_hidden_state", hidden}};
    const Value logits = decode(g.root() / "decoder", hidden, kept);
    if (g.wants("loss")) g.mark("loss", loss(in.at("pixel_values"), logits, kept.mask));
    return {{"logits", logits}};
  }

 private:
  struct Kept {
    Value numbers;  ///< i64[batch, kept]: which patches, in the order of their noise
    Value restore;  ///< i64[batch, patches]: where each patch went in that order
    Value mask;     ///< f32[batch, patches]: 1 where a patch is not kept
    Value count;    ///< i64 scalar: how many are kept
  };
  Kept kept_by(const Value& noise) const {
    Graph& g = noise.graph();
    const Value patches = size_of(noise, 1);
    const Value count = cast(cast(patches, DType::f64) * (1 - c.mask_ratio), DType::i64);
    const Value order = top_k(noise, patches, {.largest = false}).indices;
    const Value restore = top_k(order, patches, {.largest = false}).indices;
    const Value mask = cast(g.op("GreaterOrEqual", {restore, count}), DType::f32);
    return {first_of_each(order, count), restore, mask, count};
  }

  // The patches that were kept and a learnt token for each of the others, in their places: -> f[batch, patches,
  // pixels].
  Value decode(const Scope& s, const Value& hidden, const Kept& kept) const {
    Graph& g = s.graph();
    const int64_t width = c.decoder_hidden;
    const Value seen = linear(s / "decoder_embed", hidden, {.out = width});
    const Value behind_first = g.op("Min", {kept.restore + g.integer(1), kept.count});
    const Value is_kept = equal(unsqueeze(kept.mask, {2}), g.scalar(0));
    const Value patches = where(is_kept, rows_of(seen, behind_first), s.weight("mask_token", {1, 1, width}));

    // Positions of another number of patches are resampled as one row of them.
    const Value table = s.weight("decoder_pos_embed", {1, 1 + c.grid.area(), width});
    const Value row = image_of(slice(table, {1, 1}), Extent(1, c.grid.area()));
    const Value size = concat({g.integers({1}), shape_of(kept.restore, 1, 2)}, 0);
    const Value places = tokens_of(interpolate(row, size, Interpolation::bicubic));

    Value x = concat({slice(seen, {1, 0, 1}) + slice(table, {1, 0, 1}), patches + places}, 1).in(s);
    // Version 5 saves its layers under another name.
    const Scope layers = (s / "decoder_encoder.layer.0.layernorm_before").has("weight") ? s / "decoder_encoder.layer"
                                                                                        : s / "decoder_layers";
    const LayerStack stack{c.decoder_layers, [this](int64_t) { return c.decoder_layer.form(); }, "decoder_"};
    x = transformer_layers(layers, x, stack, {});
    x = linear(s / "decoder_pred", norm(s / "decoder_norm", x, {.epsilon = c.epsilon}),
               {.out = c.patch.area() * c.channels});
    return slice(x, {1, 1});
  }

  // The mean square of what the patches that were not kept are missed by.
  Value loss(const Value& pixels, const Value& logits, const Value& mask) const {
    const int64_t height = c.patch.height, width = c.patch.width;
    const Value rows = size_of(pixels, 2) / pixels.graph().integer(height);
    const Value shape = concat({shape_of(pixels, 0, 1), pixels.graph().integers({c.channels}), unsqueeze(rows, {0}),
                                pixels.graph().integers({height, -1, width})},
                               0);
    Value target = transpose(reshape(pixels, shape), {0, 2, 4, 3, 5, 1});
    target =
        reshape(target, concat({shape_of(logits, 0, 2), pixels.graph().integers({height * width * c.channels})}, 0));
    if (c.norms_pixels) {
      const double n = static_cast<double>(height * width * c.channels);
      const Value centered = target - unsqueeze(mean(target, {2}), {2});
      const Value variance = unsqueeze(sum(centered * centered, {2}) / (n - 1), {2});
      target = centered / sqrt(variance + 1e-6);
    }
    const Value missed = logits - target;
    return sum(mean(missed * missed, {2}) * mask, {0, 1}) / sum(mask, {0, 1});
  }

  const MaeConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vit_mae",
    .name = "ViT MAE",
    .models = {{.types = {"vit_mae"}, .features = {"default", "pretraining"}, .make = make<Mae>}},
})

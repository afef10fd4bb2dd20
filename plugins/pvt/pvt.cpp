// SPDX-License-Identifier: Apache-2.0
// PVT: a pyramid of transformers, each with positions of its own. Source: PvtModel and PvtForImageClassification,
// transformers 4.57 (modeling_pvt.py).
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/families/segformer.hpp>

using namespace onnxport::family;

namespace {

struct PvtConfig {
  explicit PvtConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        image(c.size("image_size", 224)),
        stages(static_cast<size_t>(c.size("num_encoder_blocks", 4))),
        widths(by_stage(c, "hidden_sizes", {64, 128, 320, 512}, stages)),
        depths(by_stage(c, "depths", {2, 2, 2, 2}, stages)),
        ratios(by_stage(c, "sequence_reduction_ratios", {8, 4, 2, 1}, stages)),
        patches(by_stage(c, "patch_sizes", {4, 2, 2, 2}, stages)),
        strides(by_stage(c, "strides", {4, 2, 2, 2}, stages)),
        heads(by_stage(c, "num_attention_heads", {1, 2, 5, 8}, stages)),
        expansions(c.has("mlp_ratios") ? c.reals("mlp_ratios") : std::vector<double>{8, 8, 4, 4}),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        bias(c.boolean("qkv_bias", true)) {
    c.no_effect({"drop_path_rate"});  // of training
    for (size_t i = 0; i < stages; ++i)
      require_multiple({"hidden_sizes", widths[i]}, {"num_attention_heads", heads[i]});
    if (expansions.size() < stages)
      throw Error(ONNXPORT_CONFIG, "config field 'mlp_ratios' is shorter than the stages");
    if (ratios[stages - 1] != 1) {
      throw Error(ONNXPORT_CONFIG, "config field 'sequence_reduction_ratios' ends in " +
                                       std::to_string(ratios[stages - 1]) +
                                       "; expected 1, since a class token stands among the last stage's patches");
    }
  }
  /// How many patches on a side a stage was trained for.
  int64_t grid(size_t stage) const { return (stage == 0 ? image : image >> (stage + 1)) / patches[stage]; }

  int64_t channels, image;
  size_t stages;
  std::vector<int64_t> widths, depths, ratios, patches, strides, heads;
  std::vector<double> expansions;
  std::string activation;
  double epsilon;
  bool bias;
};

class Pvt final : public ImageEncoder {
 public:
  explicit Pvt(const Request& request)
      : ImageEncoder(request), c(request.config), classes(request.config.num_labels(1000)) {}
  std::string base_model_prefix() const override { return "pvt"; }
  // A stage's positions are a table without resampling, so that an image has the size that they were trained for.
  std::vector<TensorSpec> inputs() const override { return {pixel_values(c.image)}; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    const Scope encoder = model / "encoder";
    Value image = pixels, x;
    for (size_t i = 0; i < c.stages; ++i) {
      const auto index = static_cast<int64_t>(i);
      const bool last = i + 1 == c.stages;
      const Patches made = embed(encoder / "patch_embeddings" / index, image, i);
      x = made.tokens;
      for (int64_t j = 0; j < c.depths[i]; ++j) x = layer(encoder / "block" / index / j, x, made.size, i);
      if (!last) image = image_of(x, made.size);
      model.graph().mark("hidden_states." + std::to_string(i), x);
    }
    return {norm(encoder / "layer_norm", x, {.epsilon = c.epsilon})};
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", pick(made.last, 1, 0), {.out = classes});
  }

  // Patches, normed, and positions; in the last stage behind a class token. The original takes the kernel's size for
  // the stride and the stride for the kernel's size.
  Patches embed(const Scope& s, const Value& image, size_t stage) const {
    const int64_t width = c.widths[stage], side = c.grid(stage);
    const bool last = stage + 1 == c.stages;
    if (side == 0) throw Error(ONNXPORT_CONFIG, "config field 'image_size' leaves no patches for a stage", s.path());
    Patches made;
    made.image = conv2d(
        s / "projection", image,
        {.out = width, .kernel = c.strides[stage], .stride = c.patches[stage], .in = stage == 0 ? c.channels : 0});
    made.size = shape_of(made.image, 2, 4);
    const Value patches = norm(s / "layer_norm", tokens_of(made.image), {.epsilon = c.epsilon});
    const Value table = s.weight("position_embeddings", {1, side * side + (last ? 1 : 0), width});
    const Value places = last ? slice(table, {1, 1}) : table;
    made.tokens = patches + places;
    if (last) made.tokens = prepend({s.weight("cls_token", {1, 1, width}) + slice(table, {1, 0, 1})}, made.tokens);
    return made;
  }

  Value layer(const Scope& s, const Value& x, const Value& size, size_t stage) const {
    const Value read = norm(s / "layer_norm_1", x, {.epsilon = c.epsilon});
    const Value y = reduced_attention(s / "attention", read, size,
                                      {.heads = c.heads[stage],
                                       .ratio = c.ratios[stage],
                                       .reduction = "sequence_reduction",
                                       .bias = c.bias,
                                       .epsilon = c.epsilon})
                        .in(s) +
                    x;
    const auto inner = static_cast<int64_t>(static_cast<double>(x.fixed(2)) * c.expansions[stage]);
    const Value fed =
        feed_forward(s / "mlp", norm(s / "layer_norm_2", y, {.epsilon = c.epsilon}),
                     {.inner = inner, .activation = c.activation, .up = "dense1", .down = "dense2", .bias = true});
    return y + fed.in(s);
  }

  const PvtConfig c;
  int64_t classes;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.pvt",
    .name = "PVT",
    .models = {{.types = {"pvt"}, .features = {"default", "image-classification"}, .make = make<Pvt>}},
})

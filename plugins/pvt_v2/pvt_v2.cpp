// SPDX-License-Identifier: Apache-2.0
// PVT V2: patches that overlap, and attention to a smaller image or to its means. Source: PvtV2Model,
// PvtV2ForImageClassification and PvtV2Backbone, transformers 4.57 (modeling_pvt_v2.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/families/segformer.hpp>

using namespace onnxport::family;

namespace {

struct PvtV2Config {
  explicit PvtV2Config(const Config& c)
      : channels(c.size("num_channels", 3)),
        stages(static_cast<size_t>(c.size("num_encoder_blocks", 4))),
        widths(by_stage(c, "hidden_sizes", {32, 64, 160, 256}, stages)),
        depths(by_stage(c, "depths", {2, 2, 2, 2}, stages)),
        ratios(by_stage(c, "sr_ratios", {8, 4, 2, 1}, stages)),
        kernels(by_stage(c, "patch_sizes", {7, 3, 3, 3}, stages)),
        strides(by_stage(c, "strides", {4, 2, 2, 2}, stages)),
        heads(by_stage(c, "num_attention_heads", {1, 2, 5, 8}, stages)),
        expansions(c.has("mlp_ratios") ? c.reals("mlp_ratios") : std::vector<double>{8, 8, 4, 4}),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        bias(c.boolean("qkv_bias", true)),
        to_means(c.boolean("linear_attention", false)) {
    // Of training and of the backbone; and convolutions take any size.
    c.no_effect({"drop_path_rate", "out_features", "out_indices", "stage_names", "image_size"});
    for (size_t i = 0; i < stages; ++i)
      require_multiple({"hidden_sizes", widths[i]}, {"num_attention_heads", heads[i]});
    if (expansions.size() < stages)
      throw Error(ONNXPORT_CONFIG, "config field 'mlp_ratios' is shorter than the stages");
  }
  int64_t channels;
  size_t stages;
  std::vector<int64_t> widths, depths, ratios, kernels, strides, heads;
  std::vector<double> expansions;
  std::string activation;
  double epsilon;
  bool bias, to_means;
};

class PvtV2 final : public ImageEncoder {
 public:
  explicit PvtV2(const Request& request)
      : ImageEncoder(request), c(request.config), read(stages_read(request.config, {c.stages, false})) {}
  std::string base_model_prefix() const override { return "pvt_v2"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(read.size()) : ImageEncoder::outputs();
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != "backbone") return ImageEncoder::forward(g, in);
    return map_values(picked(encode(g.root() / base_model_prefix(), in.at("pixel_values")).stages, read));
  }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Value image = pixels;
    std::vector<Value> maps;
    for (size_t i = 0; i < c.stages; ++i) {
      const Scope stage = model / "encoder.layers" / static_cast<int64_t>(i);
      image = conv2d(stage / "patch_embedding.proj", image,
                     {.out = c.widths[i],
                      .kernel = c.kernels[i],
                      .stride = c.strides[i],
                      .padding = c.kernels[i] / 2,
                      .in = i == 0 ? c.channels : 0});
      const Value size = shape_of(image, 2, 4);
      Value x = norm(stage / "patch_embedding.layer_norm", tokens_of(image), {.epsilon = c.epsilon});
      for (int64_t j = 0; j < c.depths[i]; ++j) x = layer(stage / "blocks" / j, x, size, i);
      image = image_of(norm(stage / "layer_norm", x, {.epsilon = c.epsilon}), size);
      maps.push_back(model.graph().mark("hidden_states." + std::to_string(i), image));
    }
    return {.last = image, .stages = maps};
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean_of_image(made.last), {.out = labels()});
  }

  Value layer(const Scope& s, const Value& x, const Value& size, size_t stage) const {
    constexpr int64_t means = 7;  // on a side
    const Value read = norm(s / "layer_norm_1", x, {.epsilon = c.epsilon});
    const Value attended = reduced_attention(s / "attention", read, size,
                                             {.heads = c.heads[stage],
                                              .ratio = c.ratios[stage],
                                              .pooled = c.to_means ? means : 0,
                                              .projections = "",
                                              .output = "proj",
                                              .reduction = "spatial_reduction",
                                              .bias = c.bias,
                                              .epsilon = c.epsilon});
    const Value y = attended.in(s) + x;
    const auto inner = static_cast<int64_t>(static_cast<double>(x.fixed(2)) * c.expansions[stage]);
    const Value fed = mixed_feed_forward(s / "mlp", norm(s / "layer_norm_2", y, {.epsilon = c.epsilon}), size,
                                         {.inner = inner, .activation = c.activation, .relu_first = c.to_means});
    return y + fed.in(s);
  }

  const PvtV2Config c;
  const std::vector<size_t> read;  // of a backbone, which has no stem
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.pvt_v2",
    .name = "PVT V2",
    .models = {{.types = {"pvt_v2"}, .features = {"default", "image-classification", "backbone"}, .make = make<PvtV2>}},
})

// SPDX-License-Identifier: Apache-2.0
// DINOv3 in the form of a vision transformer, whose patches are told apart by angles. Source: DINOv3ViTModel,
// transformers 4.57, and DINOv3ViTBackbone, 5.24 (modeling_dinov3_vit.py).
#include <cmath>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

struct Dinov3Config {
  explicit Dinov3Config(const Config& c)
      : hidden(c.size("hidden_size", 384)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 6)),
        inner(c.size("intermediate_size", 1536)),
        channels(c.size("num_channels", 3)),
        patch(extent(c, "patch_size", 16)),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        activation(c.text("hidden_act", "gelu")),
        theta(c.real("rope_theta", 100)),
        bias{c.boolean("query_bias", true), c.boolean("key_bias", false), c.boolean("value_bias", true),
             c.boolean("proj_bias", true)},
        gated(c.boolean("use_gated_mlp", false)),
        mlp_bias(c.boolean("mlp_bias", true)),
        registers(c.count("num_register_tokens", 0)) {
    // Of training, and of the backbone; angles are made for any size of image.
    c.no_effect({"image_size", "layerscale_value", "drop_path_rate", "pos_embed_shift", "pos_embed_jitter",
                 "pos_embed_rescale", "out_features", "out_indices", "stage_names"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"hidden_size / num_attention_heads", hidden / heads}, {"angles of rows and columns", 4});
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent patch;
  double epsilon;
  std::string activation;
  double theta;
  ProjectionBias bias;
  bool gated, mlp_bias;
  int64_t registers;
};

class Dinov3 final : public OnnxConfig {
 public:
  explicit Dinov3(const Request& request) : OnnxConfig(request), c(request.config), backbone(request.config, c.layers) {
    if (!request.config.boolean("return_class_token", false) || task() != "backbone") return;
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'return_class_token' is true; class tokens are no output of a backbone, expected false");
  }

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(backbone.read.size()) : OnnxConfig::outputs();
  }
  Heads heads() const override {
    if (task() == "backbone") return {};  // whose maps are made below
    return {head::hidden_states()};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const States states = encode(g.root(), in.at("pixel_values"));
    if (task() == "backbone") return map_values(maps_of(g.root(), states));
    g.mark("hidden_states." + std::to_string(c.layers), states.all.back());
    const Value hidden = normed(g.root(), states.all.back());
    if (g.wants("pooler_output")) g.mark("pooler_output", pick(hidden, 1, 0));
    return head_for_feature().outputs({g.root(), hidden, in});
  }

 private:
  // What is read of it as a backbone, and how.
  struct BackboneStages {
    BackboneStages(const Config& c, int64_t layers)
        : read(stages_read(c, static_cast<size_t>(layers))),
          normed(c.boolean("apply_layernorm", true)),
          as_images(c.boolean("reshape_hidden_states", true)) {}
    std::vector<size_t> read;
    bool normed, as_images;
  };
  struct States {
    std::vector<Value> all;  // what each layer reads, and what the last one yields: f32[batch, n, hidden]
    Value size;              // i64[2], rows and columns of the patches
  };

  // Tokens: the class token, the registers, the patches row by row.
  States encode(const Scope& model, const Value& pixels) const {
    Graph& g = model.graph();
    g.unused("*" + (model / "embeddings.mask_token").path());
    if (c.registers == 0) g.unused("*" + (model / "embeddings.register_tokens").path());  // a table without rows
    const Patches patches = patch_stem(model / "embeddings", pixels,
                                       {.width = c.hidden,
                                        .patch = c.patch,
                                        .channels = c.channels,
                                        .projection = "patch_embeddings",
                                        .first_tokens = {"cls_token"},
                                        .registers = {"register_tokens", c.registers}});
    States made{{}, patches.size};
    const LayerStack stack{.count = c.layers, .layer = [this](int64_t) { return layer(); }, .states = &made.all};
    transformer_layers(model / "layer", patches.tokens, stack,
                       {.angles = angles(model / "rope_embeddings", patches.size)});
    return made;
  }
  Value normed(const Scope& model, const Value& x) const { return norm(model / "norm", x, {.epsilon = c.epsilon}); }

  // The patches of the stages that are read. The last stage is normed in any case.
  std::vector<Value> maps_of(const Scope& model, const States& states) const {
    model.graph().unused((model / "norm").path() + ".*");  // where no stage is
    std::vector<Value> maps;
    for (const size_t stage : backbone.read) {
      const Value& state = states.all[stage];
      const bool last = stage + 1 == states.all.size();
      const Value tokens = slice(backbone.normed || last ? normed(model, state) : state, {1, 1 + c.registers});
      maps.push_back(backbone.as_images ? image_of(tokens, states.size) : tokens);
    }
    return maps;
  }

  // A patch turns half of a head's pairs by its row and half by its column, both between -1 and 1; what is no patch
  // does not turn. size: i64[2] -> f32[1, 1 + registers + patches, half a head] each.
  Angles angles(const Scope& s, const Value& size) const {
    Graph& g = s.graph();
    const int64_t quarter = c.hidden / c.heads / 4;
    std::vector<float> frequencies;
    for (int64_t i = 0; i < quarter; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(quarter);
      frequencies.push_back(static_cast<float>(2 * M_PI / std::pow(c.theta, share)));
    }
    const Value turns = g.constant<float>(DType::f32, {quarter}, frequencies);
    const Value whole = concat({size, g.integers({quarter})}, 0);
    const auto along = [&](int64_t side) {
      const Value length = pick(size.in(s), 0, side);
      const Value center = (cast(range(length), DType::f32) + 0.5) / cast(length, DType::f32) * 2.0 - 1.0;
      return g.op("Expand", {unsqueeze(center, {side == 0 ? 1 : 0, 2}) * turns, whole});
    };
    const Value all = reshape(concat({along(0), along(1)}, 2), {-1, 2 * quarter});
    const Value turned = unsqueeze(pad(all, {{0, 1 + c.registers, 0}}), {0});
    return {g.op("Cos", {turned}), g.op("Sin", {turned})};
  }

  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .attention = {.heads = c.heads, .head_size = c.hidden / c.heads, .projections = {.bias = c.bias}},
            .feed_forward = {.inner = c.inner,
                             .activation = c.activation,
                             .gate = c.gated ? "gate_proj" : "",
                             .bias = c.mlp_bias},
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm1", .factor = "layer_scale1.lambda1"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm2", .factor = "layer_scale2.lambda1"}};
  }

  const Dinov3Config c;
  const BackboneStages backbone;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dinov3_vit",
    .name = "DINOv3 (ViT)",
    .models = {{.types = {"dinov3_vit"}, .features = {"default", "backbone"}, .make = make<Dinov3>}},
})

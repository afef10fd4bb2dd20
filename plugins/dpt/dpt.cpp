// SPDX-License-Identifier: Apache-2.0
// DPT: how far every pixel is, or of what class, through a ViT of its own, through one behind a BiT (hybrid), or
// through a backbone. Source: DPTModel, DPTForDepthEstimation and DPTForSemanticSegmentation, transformers 4.57
// (modeling_dpt.py).
#include "config.hpp"

using namespace onnxport::family;

namespace {

class Dpt final : public ImageEncoder {
 public:
  explicit Dpt(const Request& request)
      : ImageEncoder(request), c(request.config), neck(dpt::neck_config(request.config, c.hybrid)) {
    if (c.backbone && task() != "depth-estimation") {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'backbone_config' is given; DPT has the feature '" + feature() +
                                            "' only with its own encoder, is_hybrid or not");
    }
  }
  std::string base_model_prefix() const override { return "dpt"; }
  // At 13 ONNX's own inference loses the rank of what a hybrid's group norms yield, and refuses sizes read of it.
  int64_t min_opset() const override { return c.hybrid ? 14 : 13; }

 private:
  /// What goes into the layers, and what a hybrid reads on the way.
  struct Embedded {
    Value tokens;
    FeatureMaps maps;
  };

  bool yields_tokens() const override { return true; }
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    if (c.backbone) {
      const FeatureMaps maps = c.backbone(g.root() / "backbone", pixels);
      return {.last = maps.stages.back(), .stages = maps.stages, .size = maps.size};
    }
    Embedded embedded = c.hybrid ? embed_hybrid(model / "embeddings", pixels) : embed(model / "embeddings", pixels);
    std::vector<Value> states;
    const LayerStack stack{.count = c.layers, .layer = [this](int64_t) { return c.layer(); }, .states = &states};
    const Value x = transformer_layers(model / "encoder.layer", embedded.tokens, stack, {});
    g.mark("hidden_states." + std::to_string(c.layers), x);
    for (const int64_t i : c.read) embedded.maps.stages.push_back(states[static_cast<size_t>(i) + 1]);
    if (task() != "default") g.unused((model / "layernorm").path() + ".*");
    return {.last = task() == "default" ? norm(model / "layernorm", x, {.epsilon = c.epsilon}) : x,
            .stages = embedded.maps.stages,
            .size = embedded.maps.size};
  }

  Embedded embed(const Scope& s, const Value& pixels) const {
    const Patches made = patch_stem(s, pixels,
                                    {.width = c.hidden,
                                     .patch = c.patch,
                                     .channels = c.channels,
                                     .first_tokens = {"cls_token"},
                                     .positions = "position_embeddings",
                                     .grid = c.grid,
                                     .interpolation = Interpolation::bilinear});
    return {made.tokens, {{}, made.size}};
  }

  // Patches of the last stage of a BiT, the first two of which are stages of the neck as they are.
  Embedded embed_hybrid(const Scope& s, const Value& pixels) const {
    const FeatureMaps seen = c.bit(s / "backbone", pixels);
    const Patches made = patch_stem(s, seen.stages.back(),
                                    {.width = c.hidden,
                                     .patch = 1,
                                     .channels = c.bit_width,
                                     .projection = "projection",
                                     .first_tokens = {"cls_token"},
                                     .positions = "position_embeddings",
                                     .grid = c.grid,
                                     .interpolation = Interpolation::bilinear});
    return {made.tokens, {{seen.stages[0], seen.stages[1]}, made.size}};
  }

  Value pool(const Scope& model, const ImageFeatures& made) const override {
    const Value x = linear(model / "pooler.dense", pick(made.last, 1, 0), {.out = c.pooled});
    return activation(x, c.pooler_activation);
  }

  Value depth(const Scope& model, const ImageFeatures& made) const override {
    Value x = fused(model, made);
    const Scope outer = model.graph().root() / "head", head = outer / "head";
    if (c.projects) x = relu(conv2d(outer / "projection", x, {.out = 256, .kernel = 3, .padding = 1}));
    x = conv2d(head / 0, x, {.out = neck.c.fused / 2, .kernel = 3, .padding = 1});
    x = relu(conv2d(head / 2, twice(x), {.out = 32, .kernel = 3, .padding = 1}));
    return squeeze(relu(conv2d(head / 4, x, {.out = 1})), {1});
  }

  Value segment(const Scope& model, const ImageFeatures& made) const override {
    const Scope head = model.graph().root() / "head.head";
    model.graph().unused("auxiliary_head.*");  // of training
    Value x = conv2d(head / 0, fused(model, made), {.out = neck.c.fused, .kernel = 3, .padding = 1, .bias = false});
    x = conv2d(head / 4, relu(batch_norm(head / 1, x)), {.out = labels()});
    return twice(x);
  }

  Value fused(const Scope& model, const ImageFeatures& made) const {
    return neck.read_by_head(neck(model.graph().root() / "neck", {made.stages, made.size}));
  }
  static Value twice(const Value& x) {
    return interpolate(x, {2, 2}, {.how = Interpolation::bilinear, .align_corners = true});
  }

  const dpt::DptConfig c;
  const DptNeck neck;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dpt",
    .name = "DPT",
    .models = {{.types = {"dpt"},
                .features = {"default", "depth-estimation", "semantic-segmentation"},
                .make = make<Dpt>}},
})

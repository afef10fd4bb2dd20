// SPDX-License-Identifier: Apache-2.0
// The tower of images of BLIP and BLIP-2, and that tower alone. Source: BlipVisionModel and Blip2VisionModel,
// transformers 4.57 (modeling_blip.py, modeling_blip_2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/families/two_towers.hpp>

namespace onnxport::family {

/// Where a config class departs from BLIP's.
struct BlipImageDefaults {
  TowerDefaults tower{.activation = "gelu"};
  int64_t patch = 16, image = 384;
  bool may_lack_bias = false;  ///< whether qkv_bias says that queries, keys and values have none
};

struct BlipImageTower : ImageTower {
  explicit BlipImageTower(const Config& c, const BlipImageDefaults& defaults = {})
      : ImageTower(c, defaults.tower, defaults.patch, defaults.image),
        qkv_bias(!defaults.may_lack_bias || c.boolean("qkv_bias", true)) {}

  /// pixels: f[batch, channels, height, width] -> f[batch, 1 + patches, hidden]
  Value operator()(const Scope& model, const Value& pixels, const std::string& steps = {}) const {
    const Value x = patch_stem(model / "embeddings", pixels,
                               {.width = hidden,
                                .patch = patch,
                                .channels = channels,
                                .projection = "patch_embedding",
                                .first_tokens = {"class_embedding"},
                                .positions = "position_embedding",
                                .grid = grid})
                        .tokens;
    const LayerStack stack{.count = layers, .layer = [this](int64_t) { return fused_layer(); }, .steps = steps};
    return norm(model / "post_layernorm", transformer_layers(model / "encoder.layers", x, stack, {}),
                {.epsilon = epsilon});
  }
  /// The class token, normed once more: f[batch, 1 + patches, hidden] -> f[batch, hidden].
  Value pool(const Scope& model, const Value& x) const {
    return norm(model / "post_layernorm", pick(x, 1, 0), {.epsilon = epsilon});
  }

  bool qkv_bias;

 private:
  TransformerLayer fused_layer() const {
    TransformerLayer form = layer(false);
    form.attention.projections = {.packing = Projections::Packing::blocks,
                                  .fused = "qkv",
                                  .output = "projection",
                                  .bias = {.query = qkv_bias, .output = true}};
    return form;
  }
};

class BlipVision : public OneTower {
 public:
  explicit BlipVision(const Request& request, const BlipImageDefaults& defaults = {})
      : OneTower(request, vision_names), image(request.config, defaults) {}

  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }

 private:
  Value encode(const Scope& model, const Inputs& in) const override { return image(model, in.at("pixel_values")); }
  Value pool(const Scope& model, const Value& hidden, const Inputs&) const override {
    return image.pool(model, hidden);
  }
  const BlipImageTower image;
};

}  // namespace onnxport::family

// SPDX-License-Identifier: Apache-2.0
// OWL-ViT's two towers, which are CLIP's. Source: OwlViTModel, transformers 4.30 (modeling_owlvit.py).
#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

class OwlViT final : public TwoTowers {
 public:
  explicit OwlViT(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config"), {.image = 768, .first_norm = "pre_layernorm"}),
        text(tower_config(request.config, "text_config"),
             {.positions = 16, .highest = ClipTextDefaults::Highest::always}),
        projected(request.config.size("projection_dim", 512)) {
    request.config.no_effect({"logit_scale_init_value", "initializer_factor"});
  }

 private:
  TextSide text_side() const override { return text.side(true); }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    const Value pooled = image.pool(model, image(model, in.at("pixel_values"), "vision_"));
    return linear(g.root() / "visual_projection", pooled, {.out = projected, .bias = false});
  }
  Value text_vectors(Graph& g, const Text& given) const override {
    const Value pooled = text.pool(text(g.root() / "text_model", given, "text_"), given.ids);
    return linear(g.root() / "text_projection", pooled, {.out = projected, .bias = false});
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }

  const ClipImageTower image;
  const ClipTextTower text;
  int64_t projected;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.owlvit",
    .name = "OWL-ViT",
    .models = {{.types = {"owlvit"},
                .features = {"default"},
                .known_gaps = {{.architecture = "OwlViTForObjectDetection",
                                .reason = "the heads of zero-shot detection are not defined"}},
                .make = make<OwlViT>}},
})

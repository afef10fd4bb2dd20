// SPDX-License-Identifier: Apache-2.0
// Chinese CLIP: CLIP's tower of images beside a BERT. Source: ChineseCLIPModel and ChineseCLIPVisionModel, transformers
// 5.24 (modeling_chinese_clip.py).
#include <onnxport/families/bert.hpp>
#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

class ChineseClip final : public TwoTowers {
 public:
  explicit ChineseClip(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config")),
        projected(request.config.size("projection_dim", 512)) {
    request.config.no_effect({"logit_scale_init_value", "initializer_factor"});
    tower_config(request.config, "text_config")
        .no_effect({"initializer_factor", "pad_token_id", "bos_token_id", "eos_token_id", "use_cache"});
  }

 private:
  TextSide text_side() const override { return {text.vocab, text.max_positions}; }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override { return projected_image(g, image, in, projected); }
  // By the first token.
  Value text_vectors(Graph& g, const Text& given) const override {
    const Scope model = g.root() / "text_model";
    g.unused("*embeddings.position_ids");
    g.unused((model / "pooler").path() + ".*");
    const Value hidden = text.encode(model / "encoder", text.embed(model / "embeddings", {.ids = given.ids}), given);
    return linear(g.root() / "text_projection", pick(hidden, 1, 0), {.out = projected, .bias = false});
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }

  const ClipImageTower image;
  const BertEncoder text;
  int64_t projected;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.chinese_clip",
    .name = "Chinese CLIP",
    .models = {{.types = {"chinese_clip"}, .features = {"default"}, .make = make<ChineseClip>},
               {.types = {"chinese_clip_vision_model"}, .features = {"default"}, .make = make<ClipVision>}},
})

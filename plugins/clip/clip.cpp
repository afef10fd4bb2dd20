// SPDX-License-Identifier: Apache-2.0
// CLIP and MetaCLIP 2, both towers in one graph or each in its own. Source: CLIPModel, CLIPForImageClassification,
// CLIPTextModel, CLIPVisionModel and those with a projection, transformers 4.57 (modeling_clip.py); the same classes of
// MetaCLIP 2, transformers 5.24 (modeling_metaclip_2.py).
#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

/// Where a relative departs from CLIP.
struct Relative {
  std::string_view type;
  ClipTextDefaults text{};
};
constexpr ClipTextDefaults by_end_token{.highest = ClipTextDefaults::Highest::never};
const Relative relatives[] = {{"clip"},
                              {"clip_text_model"},
                              {"clip_vision_model"},
                              {"metaclip_2", by_end_token},
                              {"metaclip_2_text_model", by_end_token},
                              {"metaclip_2_vision_model", by_end_token}};

class Clip final : public TwoTowers {
 public:
  explicit Clip(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config"), row_of(relatives, request.model_type).text),
        projected(request.config.size("projection_dim", 512)),
        labels(request.config.num_labels()) {
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

  // By the mean of the patches, without the class token.
  Value classify(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    g.unused("*post_layernorm.*");
    return linear(g.root() / "classifier", mean(slice(image(model, in.at("pixel_values")), {1, 1}), {1}),
                  {.out = labels});
  }

  const ClipImageTower image;
  const ClipTextTower text;
  int64_t projected, labels;
};

class ClipText final : public OneTower {
 public:
  explicit ClipText(const Request& request)
      : OneTower(request, text_names), text(request.config, row_of(relatives, request.model_type).text) {}

  int64_t max_positions() const override { return text.positions; }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, text.vocab),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }

 private:
  Value encode(const Scope& model, const Inputs& in) const override {
    return text(model, {in.at("input_ids"), in.at("attention_mask")});
  }
  Value pool(const Scope&, const Value& hidden, const Inputs& in) const override {
    return text.pool(hidden, in.at("input_ids"));
  }
  const ClipTextTower text;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.clip",
    .name = "CLIP and MetaCLIP 2",
    .models = {{.types = {"clip", "metaclip_2"}, .features = {"default", "image-classification"}, .make = make<Clip>},
               {.types = {"clip_text_model", "metaclip_2_text_model"},
                .features = {"default"},
                .architectures = {{"CLIPTextModelWithProjection", "default"},
                                  {"MetaClip2TextModelWithProjection", "default"}},
                .make = make<ClipText>},
               {.types = {"clip_vision_model", "metaclip_2_vision_model"},
                .features = {"default"},
                .architectures = {{"CLIPVisionModelWithProjection", "default"},
                                  {"MetaClip2VisionModelWithProjection", "default"}},
                .make = make<ClipVision>}},
})

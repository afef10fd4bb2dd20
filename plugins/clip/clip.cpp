// SPDX-License-Identifier: Apache-2.0
// CLIP and MetaCLIP 2, both towers in one graph or each in its own. Source: CLIPModel, CLIPForImageClassification,
// CLIPTextModel, CLIPVisionModel and those with a projection, transformers 4.57 (modeling_clip.py); the same classes of
// MetaCLIP 2, transformers 5.24 (modeling_metaclip_2.py).
#include <algorithm>

#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

/// Where a relative departs from CLIP.
struct Relative {
  std::string_view type;
  ClipTextDefaults text{};
};
constexpr ClipTextDefaults by_end_token{.end_by_2 = false};
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
  const ImageTower& image_tower() const override { return image; }
  const TextTower& text_tower() const override { return text; }

  Value image_vectors(Graph& g, const Value& pixels) const override {
    const Scope model = g.root() / "vision_model";
    const Value pooled = image.pool(model, image(model, pixels, "vision_"));
    return linear(g.root() / "visual_projection", pooled, {.out = projected, .bias = false});
  }
  Value text_vectors(Graph& g, const Text& given) const override {
    const Value pooled = text.pool(text(g.root() / "text_model", given, "text_"), given.ids);
    return linear(g.root() / "text_projection", pooled, {.out = projected, .bias = false});
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }

  // By the mean of the patches, without the class token.
  Value classify(Graph& g, const Value& pixels) const override {
    const Scope model = g.root() / "vision_model";
    g.unused("*post_layernorm.*");
    return linear(g.root() / "classifier", mean(slice(image(model, pixels), {1, 1}), {1}), {.out = labels});
  }

  const ClipImageTower image;
  const ClipTextTower text;
  int64_t projected, labels;
};

bool has_projection(const Config& c) {
  for (const std::string& name : c.texts("architectures")) {
    if (name.find("WithProjection") != std::string::npos) return true;
  }
  return false;
}

/// One tower: its states and what it pools, or with a projection the vector that the towers share.
class OneTower : public OnnxConfig {
 public:
  explicit OneTower(const Request& request)
      : OnnxConfig(request),
        projected(request.config.size("projection_dim", 512)),
        with_projection(has_projection(request.config)) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<OutputSpec> outputs() const override {
    OutputSpec states{"last_hidden_state", {{0, axis::batch}, {1, axis::sequence}}};
    if (with_projection) return {{vectors(), {{0, axis::batch}}}, std::move(states)};
    return {std::move(states), {"pooler_output", {{0, axis::batch}}}};
  }

 protected:
  virtual const char* vectors() const = 0;

  // Checkpoints with a projection hold the tower below a module of its own.
  Scope model(Graph& g) const { return with_projection ? g.root() / base_model_prefix() : g.root(); }
  Outputs yield(const Scope& projection, const Value& hidden, const Value& pooled) const {
    if (!with_projection) return {{"last_hidden_state", hidden}, {"pooler_output", pooled}};
    return {{vectors(), linear(projection, pooled, {.out = projected, .bias = false})}, {"last_hidden_state", hidden}};
  }

 private:
  int64_t projected;
  bool with_projection;
};

class ClipText final : public OneTower {
 public:
  explicit ClipText(const Request& request)
      : OneTower(request), text(request.config, row_of(relatives, request.model_type).text) {}

  std::string base_model_prefix() const override { return "text_model"; }
  int64_t max_positions() const override { return text.positions; }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, text.vocab),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value hidden = text(model(g), {in.at("input_ids"), in.at("attention_mask")});
    return yield(g.root() / "text_projection", hidden, text.pool(hidden, in.at("input_ids")));
  }

 private:
  const char* vectors() const override { return "text_embeds"; }
  const ClipTextTower text;
};

class ClipVision final : public OneTower {
 public:
  explicit ClipVision(const Request& request) : OneTower(request), image(request.config) {}

  std::string base_model_prefix() const override { return "vision_model"; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value hidden = image(model(g), in.at("pixel_values"));
    return yield(g.root() / "visual_projection", hidden, image.pool(model(g), hidden));
  }

 private:
  const char* vectors() const override { return "image_embeds"; }
  const ClipImageTower image;
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

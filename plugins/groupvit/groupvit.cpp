// SPDX-License-Identifier: Apache-2.0
// GroupViT: CLIP's tower of texts beside one of images that groups what it sees. Source: GroupViTModel,
// GroupViTTextModel and GroupViTVisionModel, transformers 4.57 (modeling_groupvit.py).
#include <onnxport/families/clip.hpp>

#include "image_tower.hpp"

using namespace onnxport::family;

namespace {

constexpr ClipTextDefaults texts{.tower = {.hidden = 256, .inner = 1024, .heads = 4}};

class GroupViT final : public TwoTowers {
 public:
  explicit GroupViT(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config"), texts),
        projected(request.config.size("projection_dim", 256)),
        inner(request.config.size("projection_intermediate_dim", 4096)) {
    request.config.no_effect({"logit_scale_init_value", "initializer_factor", "output_segmentation"});
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    if (g.wants("segmentation_logits")) g.mark("segmentation_logits", segment(g, in));
    return TwoTowers::forward(g, in);
  }

 private:
  TextSide text_side() const override { return text.side(true); }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override {
    const auto seen = image(g.root() / "vision_model", in.at("pixel_values"), "vision_");
    return project(g.root() / "visual_projection", GroupVitTower::pool(seen.tokens));
  }
  Value text_vectors(Graph& g, const Text& given) const override {
    const Value pooled = text.pool(text(g.root() / "text_model", given, "text_"), given.ids);
    return project(g.root() / "text_projection", pooled);
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }

  // f[n, width] -> f[n, projected]
  Value project(const Scope& s, const Value& x) const {
    const Value h = relu(batch_norm(s / 1, linear(s / 0, x, {.out = inner})));
    return linear(s / 3, h, {.out = projected});
  }

  // How well each text fits each pixel, by the groups that it belongs to: f[images, texts, height, width].
  Value segment(Graph& g, const Inputs& in) const {
    const Value pixels = in.at("pixel_values");
    const auto seen = image(g.root() / "vision_model", pixels);
    if (seen.shares.empty())
      throw Error(ONNXPORT_UNSUPPORTED, "no stage groups anything; segmentation_logits are made of groups");
    Value share = seen.shares[0];  // f[images, groups, patches]
    for (size_t i = 1; i < seen.shares.size(); ++i) share = matmul(seen.shares[i], share);
    share =
        interpolate(image_of(transpose(share, {0, 2, 1}), seen.size), shape_of(pixels, 2, 4), Interpolation::bilinear);
    const int64_t groups = share.fixed(1);
    const Value vectors =
        unit(project(g.root() / "visual_projection", reshape(seen.tokens, {-1, seen.tokens.fixed(2)})));
    const Value text_vector = unit(text_vectors(g, text_of(in)));
    const Value scale = exp(g.root().weight("logit_scale", {}));
    const Value fits = reshape(matmul(vectors, transpose(text_vector, {1, 0})) * scale,
                               concat({g.integers({-1, groups}), shape_of(text_vector, 0, 1)}, 0));
    const Value map = matmul(transpose(fits, {0, 2, 1}), reshape(share, {0, groups, -1})) * scale;
    return reshape(map, concat({shape_of(map, 0, 2), shape_of(pixels, 2, 4)}, 0));
  }

  const GroupVitTower image;
  const ClipTextTower text;
  const int64_t projected, inner;
};

class GroupVitText final : public ClipText {
 public:
  explicit GroupVitText(const Request& request) : ClipText(request, texts, nested(text_names)) {}
};

class GroupVitVision final : public OneTower {
 public:
  explicit GroupVitVision(const Request& request) : OneTower(request, nested(vision_names)), image(request.config) {}

  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  /// There are as many states as groups.
  std::vector<OutputSpec> outputs() const override {
    return {{"last_hidden_state", {{0, axis::batch}}}, {"pooler_output", {{0, axis::batch}}}};
  }

 private:
  Value encode(const Scope& model, const Inputs& in) const override {
    return image(model, in.at("pixel_values")).tokens;
  }
  Value pool(const Scope&, const Value& hidden, const Inputs&) const override { return GroupVitTower::pool(hidden); }
  const GroupVitTower image;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.groupvit",
    .name = "GroupViT",
    .models = {{.types = {"groupvit"}, .features = {"default"}, .make = make<GroupViT>},
               {.types = {"groupvit_text_model"}, .features = {"default"}, .make = make<GroupVitText>},
               {.types = {"groupvit_vision_model"}, .features = {"default"}, .make = make<GroupVitVision>}},
})

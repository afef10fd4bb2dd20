// SPDX-License-Identifier: Apache-2.0
// SigLIP, both towers in one graph or each in its own. Source: SiglipModel, SiglipForImageClassification,
// SiglipTextModel and SiglipVisionModel, transformers 4.57 (modeling_siglip.py).
#include <onnxport/families/siglip.hpp>

using namespace onnxport::family;

namespace {

struct SiglipImageTower : ImageTower {
  explicit SiglipImageTower(const Config& c)
      : ImageTower(c, siglip_defaults, 16), has_head(c.boolean("vision_use_head", true)) {}

  /// pixels: f[batch, channels, height, width] -> f[batch, patches, hidden]
  Value operator()(const Scope& model, const Value& pixels, const std::string& steps = {}) const {
    const Scope s = model / "embeddings";
    model.graph().unused("*" + (s / "position_ids").path());
    const Value x = patch_stem(s, pixels,
                               {.width = hidden,
                                .patch = patch,
                                .channels = channels,
                                .projection = "patch_embedding",
                                .positions = "position_embedding.weight",
                                .grid = grid,
                                .flat = true})
                        .tokens;
    return norm(model / "post_layernorm", encode(model, x, steps), {.epsilon = epsilon});
  }

  bool has_head;
};

class Siglip final : public SiglipTowers<SiglipImageTower> {
 public:
  using SiglipTowers::SiglipTowers;

 private:
  TowerReading read_image(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    const Value hidden = image(model, in.at("pixel_values"), "vision_");
    return {hidden, pool_by_probe(model / "head", hidden, image)};
  }

  // By the mean of the patches; what pools them otherwise is not asked.
  Value classify(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    g.unused((model / "head").path() + ".*");
    return linear(g.root() / "classifier", mean(image(model, in.at("pixel_values")), {1}), {.out = labels});
  }
};

class SiglipVision final : public OneTower {
 public:
  explicit SiglipVision(const Request& request) : OneTower(request, vision_names), image(request.config) {}

  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }

 private:
  Value encode(const Scope& model, const Inputs& in) const override { return image(model, in.at("pixel_values")); }
  Value pool(const Scope& model, const Value& hidden, const Inputs&) const override {
    return pool_by_probe(model / "head", hidden, image);
  }
  bool has_pooler() const override { return image.has_head; }
  const SiglipImageTower image;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.siglip",
    .name = "SigLIP",
    .models = {{.types = {"siglip"}, .features = {"default", "image-classification"}, .make = make<Siglip>},
               {.types = {"siglip_text_model"}, .features = {"default"}, .make = make<SiglipText>},
               {.types = {"siglip_vision_model"}, .features = {"default"}, .make = make<SiglipVision>}},
})

// SPDX-License-Identifier: Apache-2.0
// ALIGN: an EfficientNet beside a BERT. Source: AlignModel, AlignTextModel and AlignVisionModel, transformers 4.57
// (modeling_align.py).
#include <onnxport/families/bert.hpp>
#include <onnxport/families/efficientnet.hpp>
#include <onnxport/families/two_towers.hpp>

using namespace onnxport::family;

namespace {

struct AlignImageTower : EfficientNetBlocks {
  explicit AlignImageTower(const Config& c) : EfficientNetBlocks(c), image(c.size("image_size", 600)) {
    c.no_effect({"hidden_dim"});  // of the pool's window, which holds all of an image
  }

  std::vector<AxisSize> sizes() const {
    return {{.axis = axis::num_channels, .usual = channels},
            {.axis = axis::height, .usual = image},
            {.axis = axis::width, .usual = image}};
  }

  int64_t image;
};

struct AlignTextTower : BertEncoder {
  explicit AlignTextTower(const Config& c) : BertEncoder(c) {
    c.no_effect({"pad_token_id", "bos_token_id", "eos_token_id", "use_cache"});
  }

  Value operator()(const Scope& model, const Text& text) const {
    model.graph().unused("*embeddings.position_ids");
    const Value x = embed(model / "embeddings", {.ids = text.ids, .segments = text.segments});
    return encode(model / "encoder", x, text);
  }
};

/// Images are compared as they are pooled, texts by the first token in the width of that.
class Align final : public TwoTowers {
 public:
  explicit Align(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config")),
        projected(request.config.size("projection_dim", 640)) {
    request.config.no_effect({"temperature_init_value"});
    require_equal({"projection_dim", projected},
                  {"the width of the last stage of images", image.width(image.out.back())});
  }

 private:
  TextSide text_side() const override { return {text.vocab, text.max_positions, true, text.segments}; }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override {
    return image.pool(image(g.root() / "vision_model", in.at("pixel_values"), "vision_"));
  }
  Value text_vectors(Graph& g, const Text& given) const override {
    const Scope model = g.root() / "text_model";
    g.unused((model / "pooler").path() + ".*");
    return linear(g.root() / "text_projection", pick(text(model, given), 1, 0), {.out = projected});
  }
  Contrast contrast_by(Graph& g) const override { return {.temperature = g.root().weight("temperature", {})}; }

  const AlignImageTower image;
  const AlignTextTower text;
  const int64_t projected;
};

class AlignText final : public TextEncoder {
 public:
  explicit AlignText(const Request& request) : TextEncoder(request), text(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "align", .vocab = text.vocab, .segments = text.segments, .max_positions = text.max_positions};
  }
  TextHeads text_heads() const override { return {}; }
  Value encode(const Scope& base, const Text& given) const override { return text(base, given); }
  Value pool(const Scope& base, const Value& hidden) const override { return text.pool(base / "pooler", hidden); }

  const AlignTextTower text;
};

class AlignVision final : public ImageEncoder {
 public:
  explicit AlignVision(const Request& request) : ImageEncoder(request), image(request.config) {}

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override { return {image(model, pixels)}; }
  Value pool(const Scope&, const ImageFeatures& made) const override { return image.pool(made.last); }
  bool puts_out_pooled() const override { return true; }

  const AlignImageTower image;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.align",
    .name = "ALIGN",
    .models = {{.types = {"align"}, .features = {"default"}, .make = make<Align>},
               {.types = {"align_text_model"}, .features = {"default"}, .make = make<AlignText>},
               {.types = {"align_vision_model"}, .features = {"default"}, .make = make<AlignVision>}},
})

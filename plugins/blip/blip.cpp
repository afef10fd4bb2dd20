// SPDX-License-Identifier: Apache-2.0
// BLIP: how well images and texts fit, texts about images, answers to questions about them, and either tower alone.
// Source: BlipModel, BlipForImageTextRetrieval, BlipVisionModel and BlipTextModel, transformers 4.57 and 5.24
// (modeling_blip.py, modeling_blip_text.py).
#include "generation.hpp"
#include "text_tower.hpp"

using namespace onnxport::family;

namespace {

/// Both towers, and the angle between what they yield.
class BlipPair final : public TwoTowers {
 public:
  explicit BlipPair(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config")),
        projected(request.config.size("projection_dim", 512)) {
    skip_fields_of_others(request.config);
  }

 private:
  TextSide text_side() const override { return {text.vocab, text.max_positions}; }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override { return projected_image(g, image, in, projected); }
  Value text_vectors(Graph& g, const Text& given) const override {
    const Scope model = g.root() / "text_model";
    const Value pooled = text.pool(model / "pooler", text(model, given, {}, "text_"));
    return linear(g.root() / "text_projection", pooled, {.out = projected, .bias = false});
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }

  const BlipImageTower image;
  const BlipText text;
  const int64_t projected;
};

/// Whether a text tells of an image: the text is read beside the image, and its first token is asked.
class BlipRetrieval final : public OnnxConfig {
 public:
  explicit BlipRetrieval(const Request& request)
      : OnnxConfig(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config")) {
    skip_fields_of_others(request.config);
  }

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return text.max_positions; }
  std::vector<AxisSize> axis_sizes() const override { return image.sizes(); }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, text.vocab), pixel_values(),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }
  std::vector<OutputSpec> outputs() const override { return {{"itm_score", {{0, axis::batch}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    for (const char* other : {"vision_proj.*", "text_proj.*"}) g.unused(other);  // of the towers apart
    const Value seen = image(root / "vision_model", in.at("pixel_values"), "vision_");
    const Value read =
        text(root / "text_encoder", {in.at("input_ids"), in.at("attention_mask")}, {.over = {.hidden = seen}}, "text_");
    g.mark("last_hidden_state", seen);
    g.mark("question_embeds", read);
    return {{"itm_score", linear(root / "itm_head", pick(read, 1, 0), {.out = 2})}};
  }

 private:
  const BlipImageTower image;
  const BlipText text;
};

/// The texts' tower alone, as its class is called: without an image, every token seeing all others.
class BlipTextOnly final : public TextEncoder {
 public:
  explicit BlipTextOnly(const Request& request) : TextEncoder(request), text(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "bert", .vocab = text.vocab, .max_positions = text.max_positions};
  }
  TextHeads text_heads() const override { return {}; }
  Value encode(const Scope& base, const Text& given) const override { return text(base, given, {}); }
  Value pool(const Scope& base, const Value& hidden) const override { return text.pool(base / "pooler", hidden); }

  const BlipText text;
};

std::unique_ptr<OnnxConfig> make_blip(const Request& request) {
  if (request.feature == "default") return make<BlipPair>(request);
  if (request.feature == "image-text-retrieval") return make<BlipRetrieval>(request);
  return make<BlipGenerator>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.blip",
    .name = "BLIP",
    .models = {{.types = {"blip"},
                .features = {"default", "image-text-retrieval", "vision2seq-lm", "vision2seq-lm-with-past",
                             "visual-question-answering", "visual-question-answering-with-past"},
                .architectures = {{"BlipForImageTextRetrieval", "image-text-retrieval"},
                                  {"BlipForConditionalGeneration", "vision2seq-lm"},
                                  {"BlipForQuestionAnswering", "visual-question-answering"}},
                .make = make_blip},
               {.types = {"blip_text_model"}, .features = {"default"}, .make = make<BlipTextOnly>},
               {.types = {"blip_vision_model"}, .features = {"default"}, .make = make<BlipVision>}},
})

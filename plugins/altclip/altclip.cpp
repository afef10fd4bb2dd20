// SPDX-License-Identifier: Apache-2.0
// AltCLIP: CLIP's tower of images beside an XLM-RoBERTa. Source: AltCLIPModel, AltCLIPTextModel and AltCLIPVisionModel,
// transformers 4.57 (modeling_altclip.py).
#include <onnxport/families/clip.hpp>
#include <onnxport/families/roberta.hpp>

using namespace onnxport::family;

namespace {

constexpr BertDefaults xlm_roberta{.vocab = 250002,
                                   .hidden = 1024,
                                   .layers = 24,
                                   .heads = 16,
                                   .inner = 4096,
                                   .max_positions = 514,
                                   .segments = 1,
                                   .epsilon = 1e-5};

/// RoBERTa, and every token taken to the width of the projection.
struct AltTextTower : BertEncoder {
  explicit AltTextTower(const Config& c)
      : BertEncoder(c, xlm_roberta), padding(c.integer("pad_token_id", 1)), projected(c.size("project_dim", 768)) {
    c.no_effect({"initializer_factor", "bos_token_id", "eos_token_id", "use_cache"});
  }

  /// -> f[batch, sequence, projected]
  Value operator()(const Scope& model, const Text& text) const {
    const Scope s = model / "roberta";
    for (const char* kept : {"*embeddings.position_ids", "*embeddings.token_type_ids"}) s.graph().unused(kept);
    const Value x = embed(s / "embeddings", {.ids = text.ids, .positions = positions_past_padding(text.ids, padding)});
    const Value h = norm(model / "pre_LN", encode_text(s / "encoder", x, text), {.epsilon = epsilon});
    return linear(model / "transformation", h, {.out = projected});
  }

  TextSide side() const { return {vocab, max_positions - 1 - padding}; }

  int64_t padding, projected;

 private:
  // The layers have another name where version 5 saved the tower alone.
  Value encode_text(const Scope& s, const Value& x, const Text& text) const {
    const Scope at = first_with("0.output.dense.weight", {s / "layers", s / "layer"});
    const TransformerLayer form = layer();
    return last_step(transformer_layers(at, x, {layers, [&](int64_t) { return form; }}, attended(text)));
  }
};

class AltClip final : public TwoTowers {
 public:
  explicit AltClip(const Request& request)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config")),
        projected(request.config.size("projection_dim", 768)) {
    request.config.no_effect({"logit_scale_init_value", "initializer_factor"});
  }

 private:
  TextSide text_side() const override { return text.side(); }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override { return projected_image(g, image, in, projected); }
  // By the first token.
  Value text_vectors(Graph& g, const Text& given) const override {
    return linear(g.root() / "text_projection", pick(text(g.root() / "text_model", given), 1, 0),
                  {.out = projected, .bias = false});
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }

  const ClipImageTower image;
  const AltTextTower text;
  const int64_t projected;
};

class AltClipText final : public OneTower {
 public:
  explicit AltClipText(const Request& request) : OneTower(request, text_names), text(request.config) {}

  int64_t max_positions() const override { return text.side().positions; }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, text.vocab),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }

 private:
  Value encode(const Scope& model, const Inputs& in) const override {
    return text(model, {in.at("input_ids"), in.at("attention_mask")});
  }
  Value pool(const Scope&, const Value& hidden, const Inputs&) const override { return pick(hidden, 1, 0); }

  const AltTextTower text;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.altclip",
    .name = "AltCLIP",
    .models = {{.types = {"altclip"}, .features = {"default"}, .make = make<AltClip>},
               {.types = {"altclip_text_model"}, .features = {"default"}, .make = make<AltClipText>},
               {.types = {"altclip_vision_model"}, .features = {"default"}, .make = make<ClipVision>}},
})

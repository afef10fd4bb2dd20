// SPDX-License-Identifier: Apache-2.0
// SAM: masks of what points, boxes and masks in an image mean, and its image encoder alone. Source: SamModel and
// SamVisionModel, transformers 4.57 (modeling_sam.py).
#include <onnxport/families/segment_anything.hpp>

#include "vision.hpp"

using namespace onnxport::sdk;
using namespace onnxport::family;

namespace {

class SamVision final : public OnnxConfig {
 public:
  explicit SamVision(const Request& request) : OnnxConfig(request), encoder(request.config) {}
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {encoder.c.pixels()}; }
  std::vector<OutputSpec> outputs() const override { return {{"last_hidden_state", {{0, axis::batch}}}}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    return {{"last_hidden_state", encoder(g.root() / "vision_encoder", in.at("pixel_values"))}};
  }

 private:
  const sam::VisionEncoder encoder;
};

SamPromptConfig prompts_of(const Config& config) {
  const Config c = config.section("prompt_encoder_config");
  c.no_effect({"num_point_embeddings", "image_embedding_size"});  // four; and what follows from the others
  return {c, {.frequencies = config.section("vision_config").size("num_pos_feats", 128)}};
}

SamDecoderConfig decoder_of(const Config& c) {
  SamDecoderConfig made(c);
  require_multiple({"hidden_size / 2", made.hidden / 2}, {"num_attention_heads", made.heads});
  made.mlp.activation = c.text("hidden_act", "relu");
  made.mlp.first = "lin1";
  made.mlp.last = "lin2";
  made.epsilon = c.real("layer_norm_eps", 1e-6);
  return made;
}

class Sam final : public SegmentAnything {
 public:
  explicit Sam(const Request& request)
      : SegmentAnything(request, prompts_of(request.config), decoder_of(request.config.section("mask_decoder_config"))),
        encoder(request.config.section("vision_config")) {
    require_equal({"vision_config.output_channels", encoder.c.out},
                  {"prompt_encoder_config.hidden_size", prompts.c.hidden});
    require_equal({"prompt_encoder_config.image_size / patch_size", prompts.c.grid()},
                  {"vision_config.image_size / patch_size", encoder.c.grid()});
    request.config.no_effect({"tie_word_embeddings"});  // one embedding of places serves both sides anyway
  }

 private:
  TensorSpec pixels() const override { return encoder.c.pixels(); }
  Seen see(Graph& g, const Value& pixels) const override {
    return {encoder(g.root() / "vision_encoder", pixels), prompts.image_places(g)};
  }

  std::vector<TensorSpec> image_maps() const override {
    const std::vector<Dim> shape{axis::batch, encoder.c.out, encoder.c.grid(), encoder.c.grid()};
    return {input::hidden("image_embeddings", shape, {.of = "image_embeddings"}),
            input::hidden("image_positional_embeddings", shape, {.of = "image_positional_embeddings"})};
  }
  Outputs name_maps(Graph& g, const Seen& seen) const override {
    const Value places = g.op("Expand", {seen.places, shape_of(seen.image, 0, 4)});
    return {{"image_embeddings", seen.image}, {"image_positional_embeddings", places}};
  }
  Seen take_maps(Graph&, const Inputs& in) const override {
    return {in.at("image_embeddings"), in.at("image_positional_embeddings")};
  }

  const sam::VisionEncoder encoder;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.sam",
    .name = "Segment Anything",
    .models = {{.types = {"sam"}, .features = {"default", "mask-generation", "mask-refinement"}, .make = make<Sam>},
               {.types = {"sam_vision_model"}, .features = {"default"}, .make = make<SamVision>}},
})

// SPDX-License-Identifier: Apache-2.0
// SAM: masks of what points in an image mean (not boxes, nor masks), and its image encoder alone. Source: SamModel and
// SamVisionModel, transformers 4.57 (modeling_sam.py).
#include "mask_decoder.hpp"
#include "prompts.hpp"
#include "vision.hpp"

using namespace onnxport::sdk;

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

constexpr const char* prompts_axis = "point_batch_size";
constexpr const char* points_axis = "nb_points_per_image";

class Sam final : public OnnxConfig {
 public:
  explicit Sam(const Request& request)
      : OnnxConfig(request),
        encoder(request.config.section("vision_config")),
        prompts(request.config.section("prompt_encoder_config"), encoder.c.frequencies),
        decoder(request.config.section("mask_decoder_config")) {
    require_equal({"prompt_encoder_config.hidden_size", prompts.c.hidden},
                  {"2 · vision_config.num_pos_feats", 2 * encoder.c.frequencies});
    require_equal({"vision_config.output_channels", encoder.c.out},
                  {"prompt_encoder_config.hidden_size", prompts.c.hidden});
    require_equal({"mask_decoder_config.hidden_size", decoder.c.hidden},
                  {"prompt_encoder_config.hidden_size", prompts.c.hidden});
    require_equal({"prompt_encoder_config.image_size / patch_size", prompts.c.grid()},
                  {"vision_config.image_size / patch_size", encoder.c.grid()});
    request.config.no_effect({"tie_word_embeddings"});  // one embedding of places serves both sides anyway
  }
  double atol_for_validation() const override { return 1e-4; }

  // Places are told apart by the sines of large angles.
  std::vector<std::string> keep_in_fp32() const override { return {"shared_image_embedding", "shared_embedding"}; }

  std::vector<TensorSpec> inputs() const override { return {encoder.c.pixels(), points(), labels()}; }
  std::vector<OutputSpec> outputs() const override { return mask_outputs(); }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value image = encoder(g.root() / "vision_encoder", in.at("pixel_values"));
    return decode(g, {image, prompts.image_places(g), embed_points(g, in)});
  }

  // As optimum splits it, so that one image serves any number of prompts.
  std::vector<Part> parts() const override {
    const int64_t side = encoder.c.grid();
    const std::vector<Dim> shape{axis::batch, encoder.c.out, side, side};
    Part vision{"vision_encoder",
                {encoder.c.pixels()},
                {{"image_embeddings", {{0, axis::batch}}}, {"image_positional_embeddings", {{0, axis::batch}}}},
                [this](Graph& g, const Inputs& in) -> Outputs {
                  const Value image = encoder(g.root() / "vision_encoder", in.at("pixel_values"));
                  const Value places = g.op("Expand", {prompts.image_places(g), shape_of(image, 0, 4)});
                  return {{"image_embeddings", image}, {"image_positional_embeddings", places}};
                }};
    Part masks{
        "prompt_encoder_mask_decoder",
        {input::hidden("image_positional_embeddings", shape, {.of = "image_positional_embeddings"}),
         input::hidden("image_embeddings", shape, {.of = "image_embeddings"}), points(), labels()},
        mask_outputs(),
        [this](Graph& g, const Inputs& in) {
          return decode(g, {in.at("image_embeddings"), in.at("image_positional_embeddings"), embed_points(g, in)});
        }};
    return {std::move(vision), std::move(masks)};
  }

  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = prompts_axis, .usual = 2, .minimum = 1}, {.axis = points_axis, .usual = 3, .minimum = 1}};
  }

 private:
  TensorSpec points() const {
    return input::features("input_points", {axis::batch, prompts_axis, points_axis, 2},
                           {0, static_cast<double>(prompts.c.image)});
  }
  static TensorSpec labels() { return {"input_labels", DType::i64, {axis::batch, prompts_axis, points_axis}, 2}; }
  static std::vector<OutputSpec> mask_outputs() {
    return {{"iou_scores", {{0, axis::batch}, {1, prompts_axis}}},
            {"pred_masks", {{0, axis::batch}, {1, prompts_axis}}}};
  }

  Value embed_points(Graph& g, const Inputs& in) const {
    const Scope s = g.root() / "prompt_encoder";
    // Prompts of other kinds.
    for (const char* module : {"mask_embed", "point_embed.2", "point_embed.3"}) g.unused((s / module).path() + ".*");
    return prompts.points(s, in.at("input_points"), in.at("input_labels"));
  }

  Outputs decode(Graph& g, sam::MaskDecoder::Given given) const {
    const Scope no_mask = g.root() / "prompt_encoder.no_mask_embed";
    given.image = given.image + reshape(no_mask.weight("weight", {1, prompts.c.hidden}), {1, prompts.c.hidden, 1, 1});
    const sam::MaskDecoder::Made made = decoder(g.root() / "mask_decoder", given);
    return {{"iou_scores", made.iou}, {"pred_masks", made.masks}};
  }

  const sam::VisionEncoder encoder;
  const sam::Prompts prompts;
  const sam::MaskDecoder decoder;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.sam",
    .name = "Segment Anything",
    .models = {{.types = {"sam"}, .features = {"default"}, .make = make<Sam>},
               {.types = {"sam_vision_model"}, .features = {"default"}, .make = make<SamVision>}},
})

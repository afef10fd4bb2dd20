// SPDX-License-Identifier: Apache-2.0
// SAM 2 on images: masks of what points, boxes and masks in an image mean, its image encoder and its backbone alone. Of
// a checkpoint for videos, what it does with a single image. Source: Sam2Model, Sam2VisionModel and Sam2HieraDetModel,
// transformers 5.24 (modeling_sam2.py).
#include <onnxport/families/segment_anything.hpp>

#include "vision.hpp"

using namespace onnxport::sdk;
using namespace onnxport::family;

namespace {

/// Images of any size that the backbone's squares share out.
class OfImages : public OnnxConfig {
 public:
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<AxisSize> axis_sizes() const override {
    const int64_t step = backbone().c.step(), channels = backbone().c.channels;
    return {{.axis = axis::num_channels, .usual = channels, .minimum = channels, .maximum = channels},
            {.axis = axis::height, .usual = 2 * step, .minimum = step, .step = step},
            {.axis = axis::width, .usual = 2 * step, .minimum = step, .step = step}};
  }

 protected:
  using OnnxConfig::OnnxConfig;
  virtual const sam2::HieraDet& backbone() const = 0;
};

class Sam2HieraDet final : public OfImages {
 public:
  explicit Sam2HieraDet(const Request& request) : OfImages(request), model(request.config) {}
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> all{{"last_hidden_state", {{0, axis::batch}}}};
    for (size_t i = 0; i < model.c.widths.size(); ++i) all.push_back({stage_name(i), {{0, axis::batch}}});
    return all;
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const std::vector<Value> stages = model(g.root(), in.at("pixel_values"));
    Outputs all{{"last_hidden_state", stages.back()}};
    for (size_t i = 0; i < stages.size(); ++i) all.emplace_back(stage_name(i), stages[i]);
    return all;
  }

 private:
  static std::string stage_name(size_t stage) { return "intermediate_hidden_states." + std::to_string(stage); }
  const sam2::HieraDet& backbone() const override { return model; }

  const sam2::HieraDet model;
};

class Sam2Vision final : public OfImages {
 public:
  explicit Sam2Vision(const Request& request) : OfImages(request), encoder(request.config) {}
  // Before it nobody can tell the rank of what a computed shape makes, which resampling asks for.
  int64_t min_opset() const override { return 14; }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> all{{"last_hidden_state", {{0, axis::batch}}}};
    for (const char* kind : {"fpn_hidden_states.", "fpn_position_encoding."}) {
      for (size_t i = 0; i < encoder.c.levels; ++i) all.push_back({kind + std::to_string(i), {{0, axis::batch}}});
    }
    return all;
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const sam2::VisionEncoder::Made made = encoder(g.root(), in.at("pixel_values"));
    Outputs all{{"last_hidden_state", made.last}};
    for (size_t i = 0; i < made.maps.size(); ++i)
      all.emplace_back("fpn_hidden_states." + std::to_string(i), made.maps[i]);
    for (size_t i = 0; i < made.maps.size(); ++i)
      all.emplace_back("fpn_position_encoding." + std::to_string(i), encoder.places(g.root(), made.maps[i]));
    return all;
  }

 private:
  const sam2::HieraDet& backbone() const override { return encoder.backbone; }

  const sam2::VisionEncoder encoder;
};

SamPromptConfig prompts_of(const Config& c) {
  c.no_effect({"scale"});  // of drawing an embedding
  return {c,
          {.frequencies = c.size("hidden_size", 256) / 2,
           .kinds = c.size("num_point_embeddings", 4),
           .one_table = true,
           .own_places = true,
           .box_ends = true}};
}

SamDecoderConfig decoder_of(const Config& c) {
  SamDecoderConfig made(c);
  c.no_effect({"hidden_act"});  // all layers have relu or gelu, whatever it says
  made.rate_of_layers = made.rate;
  made.mlp.layers = made.layers;
  made.attention_output = "o_proj";
  made.scores_objects = made.iou_is_probability = true;
  const MaskStability stability{c.real("dynamic_multimask_stability_delta", 0.05),
                                c.real("dynamic_multimask_stability_thresh", 0.98)};
  if (c.boolean("dynamic_multimask_via_stability", true)) made.stability = stability;
  return made;
}

class Sam2 final : public SegmentAnything {
 public:
  explicit Sam2(const Request& request)
      : SegmentAnything(request, prompts_of(request.config.section("prompt_encoder_config")),
                        decoder_of(request.config.section("mask_decoder_config"))),
        encoder(request.config.section("vision_config")) {
    require_equal({"vision_config.num_feature_levels", static_cast<int64_t>(encoder.c.levels)},
                  {"the decoder's maps", 3});
    require_equal({"vision_config.fpn_hidden_size", encoder.c.width},
                  {"prompt_encoder_config.hidden_size", prompts.c.hidden});
    read_sizes(request.config.section("vision_config"));
    // What goes from one picture of a video to the next.
    request.config.no_effect({"num_maskmem",
                              "image_size",
                              "sigmoid_scale_for_mem_enc",
                              "sigmoid_bias_for_mem_enc",
                              "enable_occlusion_spatial_embedding",
                              "multimask_output_in_sam",
                              "multimask_min_pt_num",
                              "multimask_max_pt_num",
                              "multimask_output_for_tracking",
                              "max_object_pointers_in_encoder",
                              "max_cond_frame_num",
                              "enable_temporal_pos_encoding_for_object_pointers",
                              "memory_attention_hidden_size",
                              "memory_attention_num_layers",
                              "memory_attention_num_attention_heads",
                              "memory_attention_downsample_rate",
                              "memory_attention_feed_forward_hidden_size",
                              "memory_attention_feed_forward_hidden_act",
                              "memory_attention_dropout",
                              "memory_attention_rope_theta",
                              "memory_attention_rope_feat_sizes",
                              "memory_attention_rope_dropout",
                              "memory_encoder_hidden_size",
                              "memory_encoder_output_channels",
                              "rope_parameters",
                              "mask_downsampler_embed_dim",
                              "mask_downsampler_kernel_size",
                              "mask_downsampler_stride",
                              "mask_downsampler_padding",
                              "mask_downsampler_total_stride",
                              "mask_downsampler_hidden_act",
                              "memory_fuser_num_layers",
                              "memory_fuser_embed_dim",
                              "memory_fuser_intermediate_dim",
                              "memory_fuser_kernel_size",
                              "memory_fuser_padding",
                              "memory_fuser_layer_scale_init_value",
                              "memory_fuser_hidden_act"});
  }

 private:
  static std::string map_name(size_t level) { return "image_embeddings." + std::to_string(level); }

  /// The maps' sizes are config fields, which must be those that images of the prompts' size have.
  void read_sizes(const Config& c) {
    const std::vector<std::vector<int64_t>> stated = c.integer_lists("backbone_feature_sizes");
    int64_t side = 4 * prompts.c.grid();
    for (size_t i = 0; i < 3; ++i, side /= 2) {
      const std::vector<int64_t> size = i < stated.size() ? stated[i] : std::vector<int64_t>{256 >> i, 256 >> i};
      if (size != std::vector<int64_t>{side, side}) {
        throw Error(ONNXPORT_CONFIG, "config field 'vision_config.backbone_feature_sizes' has another size than " +
                                         std::to_string(side) + "×" + std::to_string(side) + " for the map " +
                                         std::to_string(i) +
                                         ", which prompt_encoder_config.image_size / patch_size and the decoder's two "
                                         "steps of enlarging make");
      }
    }
  }

  TensorSpec pixels() const override {
    const int64_t side = prompts.c.image;
    return input::pixels("pixel_values", {axis::batch, encoder.backbone.c.channels, side, side});
  }
  Seen see(Graph& g, const Value& pixels) const override {
    // Of videos.
    for (const char* module :
         {"memory_", "mask_downsample.", "object_pointer_proj.", "temporal_positional_encoding_projection_layer.",
          "no_memory_positional_encoding", "no_object_pointer", "occlusion_spatial_embedding_parameter"})
      g.unused(module + std::string("*"));
    std::vector<Value> maps = encoder(g.root() / "vision_encoder", pixels).maps;
    const Scope decoder_scope = g.root() / "mask_decoder";
    const int64_t hidden = prompts.c.hidden;
    for (size_t i = 0; i < 2; ++i)
      maps[i] = conv2d(decoder_scope / ("conv_s" + std::to_string(i)), maps[i], {.out = hidden / (i == 0 ? 8 : 4)});
    // No picture before this one.
    const Value alone = g.root().weight("no_memory_embedding", {1, 1, hidden});
    const Value coarse = maps[2] + reshape(alone, {1, hidden, 1, 1});
    return {.image = coarse, .places = prompts.image_places(g), .finer = {maps[0], maps[1]}};
  }

  std::vector<TensorSpec> image_maps() const override {
    const int64_t hidden = prompts.c.hidden, side = prompts.c.grid();
    std::vector<TensorSpec> maps;
    for (const auto& [width, larger] : {std::pair{hidden / 8, 4}, {hidden / 4, 2}, {hidden, 1}}) {
      const std::string name = map_name(maps.size());
      maps.push_back(input::hidden(name, {axis::batch, width, larger * side, larger * side}, {.of = name}));
    }
    return maps;
  }
  Outputs name_maps(Graph&, const Seen& seen) const override {
    return {{map_name(0), seen.finer[0]}, {map_name(1), seen.finer[1]}, {map_name(2), seen.image}};
  }
  Seen take_maps(Graph& g, const Inputs& in) const override {
    return {.image = in.at(map_name(2)),
            .places = prompts.image_places(g),
            .finer = {in.at(map_name(0)), in.at(map_name(1))}};
  }

  const sam2::VisionEncoder encoder;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.sam2",
    .name = "Segment Anything 2",
    .models = {{.types = {"sam2", "sam2_video"},
                .features = {"default", "mask-generation", "mask-refinement"},
                .make = make<Sam2>},
               {.types = {"sam2_vision_model"}, .features = {"default"}, .make = make<Sam2Vision>},
               {.types = {"sam2_hiera_det_model"}, .features = {"default"}, .make = make<Sam2HieraDet>}},
})

// SPDX-License-Identifier: Apache-2.0
// Models that answer prompts with masks: an image encoder, and a decoder that is run for every prompt, as one graph or
// as two. What they are prompted by is the feature: `default` points alone, `mask-generation` points and boxes, and
// `mask-refinement` a mask of an earlier run as well. Source: SamModel, transformers 4.57 (modeling_sam.py); Sam2Model,
// transformers 5.24 (modeling_sam2.py); names of parts and inputs as optimum and transformers.js have them.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/families/sam_mask_decoder.hpp>
#include <onnxport/families/sam_prompts.hpp>

namespace onnxport::family {

class SegmentAnything : public OnnxConfig {
 public:
  double atol_for_validation() const override { return 1e-4; }
  // Places are told apart by the sines of large angles.
  std::vector<std::string> keep_in_fp32() const override { return {"shared_image_embedding", "shared_embedding"}; }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> all = prompt_inputs();
    all.insert(all.begin(), pixels());
    return all;
  }
  std::vector<OutputSpec> outputs() const override {
    const char* rows = takes_boxes() ? "nb_prompts_per_image" : SamPrompts::rows_axis;
    std::vector<OutputSpec> all;
    for (const char* name : {"iou_scores", "pred_masks"}) all.push_back({name, {{0, axis::batch}, {1, rows}}});
    if (decoder.c.scores_objects) all.push_back({"object_score_logits", {{0, axis::batch}, {1, rows}}});
    return all;
  }
  Outputs forward(Graph& g, const Inputs& in) const override { return decode(g, see(g, in.at("pixel_values")), in); }

  std::vector<Part> parts() const override {
    std::vector<TensorSpec> given = prompt_inputs();
    std::vector<OutputSpec> maps;
    for (const TensorSpec& map : image_maps()) {
      given.push_back(map);
      maps.push_back({map.name, {{0, axis::batch}}});
    }
    Part vision{"vision_encoder", {pixels()}, std::move(maps), [this](Graph& g, const Inputs& in) {
                  return name_maps(g, see(g, in.at("pixel_values")));
                }};
    Part masks{"prompt_encoder_mask_decoder", std::move(given), outputs(),
               [this](Graph& g, const Inputs& in) { return decode(g, take_maps(g, in), in); }};
    return {std::move(vision), std::move(masks)};
  }

  std::vector<AxisSize> axis_sizes() const override { return SamPrompts::sizes(); }

 protected:
  SegmentAnything(const Request& request, SamPromptConfig of_prompts, SamDecoderConfig of_decoder)
      : OnnxConfig(request), prompts(std::move(of_prompts)), decoder(std::move(of_decoder)) {
    require_equal({"mask_decoder_config.hidden_size", decoder.c.hidden},
                  {"prompt_encoder_config.hidden_size", prompts.c.hidden});
  }

  /// What the decoder is given of an image: the maps, and the places of its patches.
  using Seen = SamMaskDecoder::Given;

  virtual TensorSpec pixels() const = 0;
  /// The image encoder.
  virtual Seen see(Graph& g, const Value& pixels) const = 0;
  /// What its part hands to the decoder's: names and shapes, and both ways.
  virtual std::vector<TensorSpec> image_maps() const = 0;
  virtual Outputs name_maps(Graph& g, const Seen& seen) const = 0;
  virtual Seen take_maps(Graph& g, const Inputs& in) const = 0;

  const SamPrompts prompts;
  const SamMaskDecoder decoder;

 private:
  bool takes_masks() const { return task() == "mask-refinement"; }
  bool takes_boxes() const { return takes_masks() || task() == "mask-generation"; }

  std::vector<TensorSpec> prompt_inputs() const {
    std::vector<TensorSpec> all{prompts.points_input(), prompts.labels_input()};
    if (takes_boxes()) all.push_back(prompts.boxes_input());
    if (takes_masks()) all.push_back(prompts.masks_input());
    return all;
  }

  Outputs decode(Graph& g, Seen seen, const Inputs& in) const {
    const Scope s = g.root() / "prompt_encoder";
    seen.image = seen.image + prompts.of_mask(s, in.maybe("input_masks"));
    seen.prompts = prompts(s, {in.at("input_points"), in.at("input_labels"), in.maybe("input_boxes")});
    // What multimask_output=False answers: a step of the features with several prompts, and of points where it is
    // wanted.
    seen.single = takes_boxes() || g.wants("single_mask") || g.wants("single_iou_score");
    const SamMaskDecoder::Made made = decoder(g.root() / "mask_decoder", seen);
    if (seen.single) {
      g.mark("single_mask", made.single_mask);
      g.mark("single_iou_score", made.single_iou);
    }
    Outputs all{{"iou_scores", made.iou}, {"pred_masks", made.masks}};
    if (made.object) all.emplace_back("object_score_logits", made.object);
    return all;
  }
};

}  // namespace onnxport::family

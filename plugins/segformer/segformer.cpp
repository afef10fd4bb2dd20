// SPDX-License-Identifier: Apache-2.0
// SegFormer. Source: SegformerModel, SegformerForImageClassification and SegformerForSemanticSegmentation, transformers
// 4.57 (modeling_segformer.py).
#include <onnxport/families/segformer.hpp>

using namespace onnxport::family;

namespace {

class Segformer final : public ImageEncoder {
 public:
  explicit Segformer(const Request& request)
      : ImageEncoder(request),
        encoder(request.config.with_names({{"num_encoder_blocks", "num_hidden_layers"}})),
        as_image(request.config.boolean("reshape_last_stage", true)),
        head_width(request.config.size("decoder_hidden_size", 256)) {}
  std::string base_model_prefix() const override { return "segformer"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    ImageFeatures made = encoder(model, pixels);
    if (as_image && task() == "default") made.last = made.stages.back();
    return made;
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean(made.last, {1}), {.out = labels()});
  }

  // All stages at the size of the first one, side by side, the last one first. Source: SegformerDecodeHead.
  Value segment(const Scope& model, const ImageFeatures& made) const override {
    const Scope head = model.graph().root() / "decode_head";
    const Value size = shape_of(made.stages[0], 2, 4);
    std::vector<Value> parts;
    for (size_t i = made.stages.size(); i-- > 0;) {
      const Value& stage = made.stages[i];
      const Value tokens =
          linear(head / "linear_c" / static_cast<int64_t>(i) / "proj", tokens_of(stage), {.out = head_width});
      parts.push_back(interpolate(image_of(tokens, shape_of(stage, 2, 4)), size, Interpolation::bilinear));
    }
    const Value fused = conv2d(head / "linear_fuse", concat(parts, 1), {.out = head_width, .bias = false});
    return conv2d(head / "classifier", relu(batch_norm(head / "batch_norm", fused)), {.out = labels()});
  }

  const SegformerEncoder encoder;
  bool as_image;  // whether the base model puts out an image, and not tokens
  int64_t head_width;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.segformer",
    .name = "SegFormer",
    .models = {{.types = {"segformer"},
                .features = {"default", "image-classification", "semantic-segmentation"},
                .make = make<Segformer>}},
})

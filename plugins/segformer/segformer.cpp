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

  // All stages at the size of the first one, side by side, the last one first, and a convolution of single pixels over
  // them. That is a product with each stage, which resampling commutes with: the coarse ones are multiplied as they
  // are, and only sums are made at the large size. Source: SegformerDecodeHead.
  Value segment(const Scope& model, const ImageFeatures& made) const override {
    const Scope head = model.graph().root() / "decode_head", fuse = head / "linear_fuse";
    const auto count = static_cast<int64_t>(made.stages.size());
    const Value weight = reshape(fuse.weight("weight", {head_width, count * head_width, 1, 1}), {head_width, -1});
    const Value size = shape_of(made.stages[0], 2, 4);
    Value sum;
    for (int64_t i = count; i-- > 0;) {
      const Value& stage = made.stages[static_cast<size_t>(i)];
      const Value tokens = linear(head / "linear_c" / i / "proj", tokens_of(stage), {.out = head_width});
      const int64_t begin = (count - 1 - i) * head_width;
      const Value share = fuse.composite("Linear", {tokens, slice(weight, {1, begin, begin + head_width})});
      const Value image = image_of(share, shape_of(stage, 2, 4));
      const Value part = i == 0 ? image : interpolate(image, size, Interpolation::bilinear);
      sum = sum ? sum + part : part;
    }
    return conv2d(head / "classifier", relu(batch_norm(head / "batch_norm", sum)), {.out = labels()});
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

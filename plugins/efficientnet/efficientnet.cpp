// SPDX-License-Identifier: Apache-2.0
// EfficientNet. Source: EfficientNetModel and EfficientNetForImageClassification, transformers 4.57
// (modeling_efficientnet.py).
#include <onnxport/families/efficientnet.hpp>

using namespace onnxport::family;

namespace {

class EfficientNet final : public ImageEncoder {
 public:
  explicit EfficientNet(const Request& request) : ImageEncoder(request), blocks(request.config) {
    require_equal({"hidden_dim", request.config.size("hidden_dim", 2560)},
                  {"the width of the last convolution", blocks.width(1280)});
  }
  std::string base_model_prefix() const override { return "efficientnet"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    const Scope encoder = model / "encoder";
    const Value x = conv2d(encoder / "top_conv", blocks(model, pixels), {.out = blocks.width(1280), .bias = false});
    return {blocks.activated(encoder / "top_bn", x)};
  }
  Value pool(const Scope&, const ImageFeatures& made) const override { return blocks.pool(made.last); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", pool(model, made), {.out = labels()});
  }

  const EfficientNetBlocks blocks;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.efficientnet",
    .name = "EfficientNet",
    .models = {{.types = {"efficientnet"},
                .features = {"default", "image-classification"},
                .make = make<EfficientNet>}},
})

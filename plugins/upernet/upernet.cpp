// SPDX-License-Identifier: Apache-2.0
// UperNet: classes of pixels, by a pyramid of a backbone's stages. Source: UperNetForSemanticSegmentation, transformers
// 4.57 (modeling_upernet.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/families/pyramid_head.hpp>

using namespace onnxport::family;

namespace {

// The backbone where config.json states none: a ResNet-50, all of its stages.
onnxport::sdk::Backbone whole_resnet(const Config& none) {
  return [encoder = ResNetEncoder(ResNetConfig(none))](const Scope& at, const Value& pixels) {
    return FeatureMaps{picked(encoder(at, pixels), {1, 2, 3, 4})};
  };
}

class UperNet final : public OnnxConfig {
 public:
  explicit UperNet(const Request& request)
      : OnnxConfig(request),
        backbone(backbone_of(request.config, backbones, whole_resnet)),
        pyramid(request.config, 512) {
    // Of training.
    request.config.no_effect({"use_auxiliary_head", "auxiliary_loss_weight", "auxiliary_in_channels",
                              "auxiliary_channels", "auxiliary_num_convs", "auxiliary_concat_input",
                              "loss_ignore_index"});
  }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override { return {{"logits", {{0, axis::batch}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    g.unused("auxiliary_head.*");
    const Value& pixels = in.at("pixel_values");
    const std::vector<Value> stages = backbone(g.root() / "backbone", pixels).stages;
    const Value classes = pyramid(g.root() / "decode_head", modules, stages);
    return {{"logits", PyramidHead::resized(classes, pixels)}};
  }

 private:
  static constexpr PyramidModules modules{"bottleneck", "psp_modules", "1", "conv", "batch_norm"};

  const onnxport::sdk::Backbone backbone;
  const PyramidHead pyramid;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.upernet",
    .name = "UperNet",
    .models = {{.types = {"upernet"}, .features = {"semantic-segmentation"}, .make = make<UperNet>}},
})

// SPDX-License-Identifier: Apache-2.0
// ResNet, and RT-DETR's as a backbone. Source: ResNetModel and ResNetForImageClassification, transformers 4.30,
// and 4.57 for downsample_in_bottleneck (modeling_resnet.py).
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

class ResNet final : public ImageEncoder {
 public:
  explicit ResNet(const Request& request) : ImageEncoder(request), encoder(ResNetConfig(request.config)) {}

  std::string base_model_prefix() const override { return "resnet"; }
  double atol_for_validation() const override { return 1e-3; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    std::vector<Value> stages = encoder(model, pixels);
    for (size_t i = 0; i < stages.size(); ++i) model.graph().mark("hidden_states." + std::to_string(i), stages[i]);
    return {.last = stages.back()};
  }
  Value pool(const Scope& model, const ImageFeatures& made) const override {
    return global_average_pool(made.last.in(model / "pooler"));
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier.1", mean_of_image(made.last), {.out = labels()});
  }

  const ResNetEncoder encoder;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.resnet",
    .name = "ResNet",
    .models = {{.types = {"resnet"},
                .features = {"default", "image-classification", "backbone"},
                .make = make_with_backbone<ResNet>},
               {.types = {"rt_detr_resnet"}, .features = {"backbone"}, .make = make<BackboneModel>}},
})

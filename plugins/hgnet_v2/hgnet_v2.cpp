// SPDX-License-Identifier: Apache-2.0
// HGNet V2. Source: HGNetV2ForImageClassification and HGNetV2Backbone, transformers 4.57 (modeling_hgnet_v2.py).
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

class HGNetV2 final : public OnnxConfig {
 public:
  explicit HGNetV2(const Request& request)
      : OnnxConfig(request), encoder(HGNetV2Config(request.config)), labels(request.config.num_labels()) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const std::vector<Value> states = encoder(g.root(), in.at("pixel_values"));
    for (size_t i = 0; i < states.size(); ++i) g.mark("hidden_states." + std::to_string(i), states[i]);
    return {{"logits", linear(g.root() / "fc", mean_of_image(states.back()), {.out = labels})}};
  }

 private:
  const HGNetV2Encoder encoder;
  const int64_t labels;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.hgnet_v2",
    .name = "HGNet V2",
    .models = {{.types = {"hgnet_v2"},
                .features = {"image-classification", "backbone"},
                .make = make_with_backbone<HGNetV2>}},
})

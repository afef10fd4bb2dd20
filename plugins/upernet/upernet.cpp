// SPDX-License-Identifier: Apache-2.0
// UperNet: classes of pixels, by a pyramid of a backbone's stages. Source: UperNetForSemanticSegmentation, transformers
// 4.57 (modeling_upernet.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/plugin.hpp>

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
        width(request.config.size("hidden_size", 512)),
        scales(request.config.has("pool_scales") ? request.config.integers("pool_scales")
                                                 : std::vector<int64_t>{1, 2, 3, 6}),
        labels(request.config.num_labels()) {
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
    const Scope head = g.root() / "decode_head";
    std::vector<Value> stages = backbone(g.root() / "backbone", pixels).stages;
    const auto side = [&](const char* list, size_t i) { return head / list / static_cast<int64_t>(i); };

    // From the coarsest stage down, each added to the next finer one.
    const size_t last = stages.size() - 1;
    for (size_t i = 0; i < last; ++i) stages[i] = block(side("lateral_convs", i), stages[i], 1);
    stages[last] = pyramid(head, stages[last]);
    for (size_t i = last; i > 0; --i) stages[i - 1] = stages[i - 1] + resized(stages[i], stages[i - 1]);
    for (size_t i = 0; i < last; ++i) stages[i] = block(side("fpn_convs", i), stages[i], 3);
    for (size_t i = last; i > 0; --i) stages[i] = resized(stages[i], stages[0]);

    const Value fused = block(head / "fpn_bottleneck", concat(stages, 1), 3);
    return {{"logits", resized(conv2d(head / "classifier", fused, {.out = labels}), pixels)}};
  }

 private:
  // The coarsest stage beside its means over parts of the image, as many on a side as each scale says.
  Value pyramid(const Scope& head, const Value& x) const {
    std::vector<Value> parts{x};
    for (size_t i = 0; i < scales.size(); ++i) {
      const Scope module = head / "psp_modules" / static_cast<int64_t>(i) / 1;
      parts.push_back(resized(block(module, adaptive_average_pool(x.in(module), scales[i]), 1), x));
    }
    return block(head / "bottleneck", concat(parts, 1), 3);
  }

  // A convolution, a norm and a ReLU. Source: UperNetConvModule.
  Value block(const Scope& s, const Value& x, int64_t kernel) const {
    const Value h = conv2d(s / "conv", x, {.out = width, .kernel = kernel, .padding = kernel / 2, .bias = false});
    return relu(batch_norm(s / "batch_norm", h)).in(s.parent());
  }
  static Value resized(const Value& x, const Value& like) {
    return interpolate(x, shape_of(like, 2, 4), Interpolation::bilinear);
  }

  const onnxport::sdk::Backbone backbone;
  int64_t width;
  std::vector<int64_t> scales;
  int64_t labels;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.upernet",
    .name = "UperNet",
    .models = {{.types = {"upernet"}, .features = {"semantic-segmentation"}, .make = make<UperNet>}},
})

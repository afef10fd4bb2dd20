// SPDX-License-Identifier: Apache-2.0
// Models of timm as transformers wraps them. Source: TimmWrapperModel and TimmWrapperForImageClassification,
// transformers 5.24 (modeling_timm_wrapper.py), and timm 1.0.
#include "inverted_residuals.hpp"
#include "resnet.hpp"
#include "vision_transformer.hpp"

namespace {

using namespace timm;

/// The model of a config's architecture, whose name may have the tag of its weights behind it.
Made made_of(const Config& config) {
  const std::string written = config.text("architecture", "resnet50"), name = written.substr(0, written.find('.'));
  const Config arguments = config.section("model_args");
  const Asked asked{name, arguments};
  for (const auto& family : {inverted_residuals, resnet, vision_transformer}) {
    if (Made made = family(asked)) return made;
  }
  throw Error(ONNXPORT_UNSUPPORTED,
              "config field 'architecture' is \"" + written +
                  "\"; of timm's models these are supported: mobilenetv2, mobilenetv3, efficientnet_b and _lite, "
                  "efficientnetv2, each as tf_ as well, resnet, resnext, wide_resnet, vit, deit and deit3");
}

class TimmWrapper final : public OnnxConfig {
 public:
  explicit TimmWrapper(const Request& request)
      : OnnxConfig(request),
        model_(made_of(request.config)),
        pools_(request.config.boolean("do_pooling", true)),
        labels_(request.config.count("num_classes", request.config.num_labels())) {
    const Config weights = request.config.section("pretrained_cfg");
    const std::vector<int64_t> size =
        weights.has("input_size") ? weights.integers("input_size") : std::vector<int64_t>{3, 224, 224};
    if (size.size() != 3) {
      throw Error(ONNXPORT_CONFIG, "config field 'pretrained_cfg.input_size' has " + std::to_string(size.size()) +
                                       " entries; expected channels, height and width");
    }
    channels_ = request.config.section("model_args").size("in_chans", 3);
    usual_ = model_->only_size().value_or(Extent(size[1], size[2]));
    // What is known of the weights, the names of labels, and what the wrapper does not hand on to timm.
    request.config.no_effect({"pretrained_cfg", "num_features", "global_pool", "label_names", "label_descriptions",
                              "initializer_range", "labels", "model_args"});
  }

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override {
    return {model_->only_size() ? pixel_values(*model_->only_size()) : pixel_values()};
  }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = axis::num_channels, .usual = channels_},
            {.axis = axis::height, .usual = usual_.height},
            {.axis = axis::width, .usual = usual_.width}};
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "image-classification") return OnnxConfig::outputs();
    std::vector<OutputSpec> specs{{"last_hidden_state", {{0, axis::batch}}}};
    if (pools_) specs.push_back({"pooler_output", {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = g.root(), classifier = model / model_->classifier();
    const Value features = model_->features(model, in.at("pixel_values"));
    if (task() == "default") {
      g.unused(classifier.path() + ".*");
      Outputs outputs{{"last_hidden_state", features}};
      if (pools_) outputs.emplace_back("pooler_output", model_->pooled(model, features));
      return outputs;
    }
    const Value pooled = model_->pooled(model, features);
    // A model without classes yields what it would classify.
    return {{"logits", labels_ > 0 ? linear(classifier, pooled, {.out = labels_}) : pooled}};
  }

 private:
  Made model_;
  bool pools_;
  int64_t labels_;
  int64_t channels_ = 3;
  Extent usual_ = 224;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.timm-wrapper",
    .name = "Models of timm",
    .models = {{.types = {"timm_wrapper"}, .features = {"default", "image-classification"}, .make = make<TimmWrapper>}},
})

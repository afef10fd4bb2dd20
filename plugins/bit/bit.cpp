// SPDX-License-Identifier: Apache-2.0
// BiT. Source: BitModel, BitForImageClassification and BitBackbone, transformers 4.57 (modeling_bit.py).
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

class Bit final : public ImageEncoder {
 public:
  explicit Bit(const Request& request) : ImageEncoder(request), encoder(BitConfig(request.config)) {}
  std::string base_model_prefix() const override { return "bit"; }

 private:
  // Blocks that norm before what they do leave the last norm to the model.
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    const std::vector<Value> states = encoder(model, pixels);
    for (size_t i = 0; i < states.size(); ++i) model.graph().mark("hidden_states." + std::to_string(i), states[i]);
    const BitConfig& c = encoder.c;
    if (!c.preactivation) return {.last = states.back()};
    return {.last = activation(group_norm(model / "norm", states.back(), {.groups = c.groups}), c.activation)};
  }
  Value pool(const Scope& model, const ImageFeatures& made) const override {
    return global_average_pool(made.last.in(model / "pooler"));
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier.1", mean_of_image(made.last), {.out = labels()});
  }

  const BitEncoder encoder;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bit",
    .name = "BiT",
    .models = {{.types = {"bit"},
                .features = {"default", "image-classification", "backbone"},
                .make = make_with_backbone<Bit>}},
})

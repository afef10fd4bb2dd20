// SPDX-License-Identifier: Apache-2.0
// DINOv2, without and with registers. Source: Dinov2Model, Dinov2ForImageClassification and those of
// Dinov2WithRegisters, transformers 4.57 (modeling_dinov2.py, modeling_dinov2_with_registers.py).
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

class Dinov2OnnxConfig final : public OnnxConfig {
 public:
  explicit Dinov2OnnxConfig(const Request& request)
      : OnnxConfig(request),
        encoder(Dinov2Config(request.config, row_of(dinov2_relatives, request.model_type))),
        c(encoder.c) {}

  std::string base_model_prefix() const override { return model_type(); }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const Value last = encoder(model, in.at("pixel_values")).all.back();
    const Value hidden = encoder.normed(model, g.mark("hidden_states." + std::to_string(c.layers), last));
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", pick(hidden, 1, 0));
    return head_for_feature().outputs({model, hidden, in});
  }

  // Classes by the class token beside the mean of the patches.
  Heads heads() const override {
    return {head::hidden_states(), head::logits("image-classification", [this](const Encoded& at) {
              const Value patches = mean(slice(at.hidden, {1, 1 + c.registers}), {1});
              const Value both = concat({pick(at.hidden, 1, 0), patches}, 1);
              return linear(at.base.graph().root() / "classifier", both, {.out = c.labels});
            })};
  }

 private:
  const Dinov2Encoder encoder;
  const Dinov2Config& c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dinov2",
    .name = "DINOv2",
    .models = {{.types = {"dinov2", "dinov2_with_registers"},
                .features = {"default", "image-classification", "backbone"},
                .make = make_with_backbone<Dinov2OnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// ConvNeXT and its second version. Source: ConvNextModel and ConvNextForImageClassification, transformers 4.30
// (modeling_convnext.py); those of ConvNextV2, 4.57 (modeling_convnextv2.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

class ConvNextOnnxConfig final : public OnnxConfig {
 public:
  explicit ConvNextOnnxConfig(const Request& request)
      : OnnxConfig(request),
        encoder(ConvNextConfig(request.config.with_names({{"num_stages", "num_hidden_layers"}}),
                               row_of(convnext_relatives, request.model_type))),
        c(encoder.c) {}

  std::string base_model_prefix() const override { return model_type(); }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope convnext = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const std::vector<Value> states = encoder(convnext, in.at("pixel_values"));
    for (size_t i = 0; i < states.size(); ++i) g.mark("hidden_states." + std::to_string(i), states[i]);
    const Value& hidden = states.back();
    if (task() == "default" && g.wants("pooler_output"))
      g.mark("pooler_output", pool(convnext, hidden));
    else if (task() == "default")
      g.unused((convnext / "layernorm").path() + ".*");
    return head_for_feature().outputs({convnext, hidden, in});
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("image-classification", [this](const Encoded& at) {
              return linear(at.base.graph().root() / "classifier", pool(at.base, at.hidden), {.out = c.labels});
            })};
  }

 private:
  // -> f32[batch, widths.back()]
  Value pool(const Scope& convnext, const Value& hidden) const {
    return norm(convnext / "layernorm", mean_of_image(hidden.in(convnext)), {.epsilon = c.epsilon});
  }

  const ConvNextEncoder encoder;
  const ConvNextConfig& c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.convnext",
    .name = "ConvNeXT",
    .models = {{.types = {"convnext", "convnextv2"},
                .features = {"default", "image-classification", "backbone"},
                .make = make_with_backbone<ConvNextOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// SEW: wav2vec 2.0 whose layers read several frames at once. Source: SEWModel and its heads, transformers 4.57
// (modeling_sew.py).
#include <onnxport/families/squeezed_speech.hpp>

using namespace onnxport::family;

namespace {

class SEW final : public SqueezedSpeechEncoder {
 public:
  explicit SEW(const Request& request) : SqueezedSpeechEncoder(request, {}) {}
  std::string base_model_prefix() const override { return "sew"; }

 private:
  Value layers(const Scope& encoder, const Frames& squeezed, std::vector<Value>& kept) const override {
    const TransformerLayer form = c.layer(Placement::after);
    const Value x = norm(encoder / "layer_norm", squeezed.hidden, c.norm());
    return run_layers(c.layers, x, kept, [&](int64_t i, const Value& h) {
      return transformer_layer(encoder / "layers" / i, h, form,
                               {.mask = squeezed.mask, .layer = i, .probabilities = "attentions." + std::to_string(i)});
    });
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.sew",
    .name = "SEW",
    .models = {{.types = {"sew"},
                .features = {"default", "ctc", "audio-classification"},
                .architectures = {{"SEWForSequenceClassification", "audio-classification"}},
                .make = make<SEW>}},
})

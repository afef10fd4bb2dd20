// SPDX-License-Identifier: Apache-2.0
// I-BERT in floating point, which is RoBERTa. Source: IBertModel and its heads, transformers 4.57 (modeling_ibert.py).
#include <onnxport/families/roberta.hpp>

using namespace onnxport::family;

namespace {

class IBertOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit IBertOnnxConfig(const Request& request) : RobertaTextEncoder(request, {.base = "ibert"}) {
    const Config& c = request.config;
    if (c.boolean("quant_mode", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'quant_mode' is true, which computes in integers; supported: false, which reads the "
                  "same weights in floating point");
    }
    c.no_effect({"force_dequant"});  // of quant_mode
    c.choice("hidden_act", "gelu", {"gelu"});
    c.choice("position_embedding_type", "absolute", {"absolute"});
  }

 private:
  Value encode(const Scope& s, const Text& text) const override {
    for (const char* pattern : {"*_scaling_factor", "*_integer", "*.x_min", "*.x_max", "*.shift"})
      s.graph().unused(pattern);  // of quant_mode
    return RobertaTextEncoder::encode(s, text);
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.ibert",
    .name = "I-BERT",
    .models = {{.types = {"ibert"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<IBertOnnxConfig>}},
})

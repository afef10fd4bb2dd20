// SPDX-License-Identifier: Apache-2.0
// I-JEPA: ViT of patches alone. Source: IJepaModel and IJepaForImageClassification, transformers 4.57
// (modeling_ijepa.py).
#include <onnxport/families/vit.hpp>

using namespace onnxport::family;

namespace {

class IJepa final : public ViTOnnxConfig {
 public:
  explicit IJepa(const Request& request) : ViTOnnxConfig(request, {.pooler = false}) {}
  std::string base_model_prefix() const override { return "ijepa"; }

 private:
  std::vector<std::string> first_tokens() const override { return {}; }
  // By the mean of the patches.
  Value classify(Graph& g, const Value& hidden) const override {
    return linear(g.root() / "classifier", mean(hidden, {1}), {.out = c.labels});
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.ijepa",
    .name = "I-JEPA",
    .models = {{.types = {"ijepa"}, .features = {"default", "image-classification"}, .make = make<IJepa>}},
})

// SPDX-License-Identifier: Apache-2.0
// ViT-MSN: ViT without a pooler. Source: ViTMSNModel and ViTMSNForImageClassification, transformers 4.57
// (modeling_vit_msn.py).
#include <onnxport/families/vit.hpp>

using namespace onnxport::family;

namespace {

class ViTMsn final : public ViTOnnxConfig {
 public:
  explicit ViTMsn(const Request& request) : ViTOnnxConfig(request, {.epsilon = 1e-6, .pooler = false}) {}
  std::string base_model_prefix() const override { return "vit"; }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vit_msn",
    .name = "ViT-MSN",
    .models = {{.types = {"vit_msn"}, .features = {"default", "image-classification"}, .make = make<ViTMsn>}},
})

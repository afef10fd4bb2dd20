// SPDX-License-Identifier: Apache-2.0
// ViT. Source: ViTModel, ViTForImageClassification and ViTForMaskedImageModeling, transformers 4.30 (modeling_vit.py).
#include <onnxport/families/vit.hpp>

using namespace onnxport::family;

namespace {

class ViT final : public ViTOnnxConfig {
 public:
  using ViTOnnxConfig::ViTOnnxConfig;
  std::string base_model_prefix() const override { return "vit"; }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vit",
    .name = "ViT",
    .models = {{.types = {"vit"}, .features = {"default", "image-classification", "masked-im"}, .make = make<ViT>}},
})

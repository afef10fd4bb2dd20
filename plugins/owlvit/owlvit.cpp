// SPDX-License-Identifier: Apache-2.0
// OWL-ViT's two towers, which are CLIP's. Source: OwlViTModel, transformers 4.30 (modeling_owlvit.py).
#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

class OwlViT final : public ClipTowers {
 public:
  explicit OwlViT(const Request& request)
      : ClipTowers(request, {.image = 768, .first_norm = "pre_layernorm"},
                   {.positions = 16, .highest = ClipTextDefaults::Highest::always}) {}
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.owlvit",
    .name = "OWL-ViT",
    .models = {{.types = {"owlvit"},
                .features = {"default"},
                .known_gaps = {{.architecture = "OwlViTForObjectDetection",
                                .reason = "the heads of zero-shot detection are not defined"}},
                .make = make<OwlViT>}},
})

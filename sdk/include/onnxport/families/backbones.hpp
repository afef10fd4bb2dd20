// SPDX-License-Identifier: Apache-2.0
// All families that other models see images through.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/backbone.hpp>
#include <onnxport/families/beit.hpp>
#include <onnxport/families/bit.hpp>
#include <onnxport/families/convnext.hpp>
#include <onnxport/families/convolutional_backbones.hpp>
#include <onnxport/families/dinov2.hpp>
#include <onnxport/families/swin_backbone.hpp>

namespace onnxport::family {

inline constexpr KnownBackbone backbones[] = {
    {"beit", beit_backbone},
    {"bit", bit_backbone},
    {"convnext", convnext_backbone},
    {"convnextv2", convnext_backbone},
    {"dinov2", dinov2_backbone},
    {"dinov2_with_registers", dinov2_backbone},
    {"resnet", resnet_backbone},
    {"rt_detr_resnet", rt_detr_resnet_backbone},
    {"hgnet_v2", hgnet_v2_backbone},
    {"swin", swin_backbone},
    {"maskformer-swin", maskformer_swin_backbone},
};

}  // namespace onnxport::family

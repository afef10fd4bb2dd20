// SPDX-License-Identifier: Apache-2.0
// All families that other models see images through.
#pragma once

#include <onnxport/backbone.hpp>
#include <onnxport/families/beit.hpp>
#include <onnxport/families/bit.hpp>
#include <onnxport/families/convnext.hpp>
#include <onnxport/families/dinov2.hpp>
#include <onnxport/families/resnet.hpp>

namespace onnxport::family {

/// A ResNet of transformers, by the stages of which its config has the names.
inline sdk::Backbone resnet_stages(const Config& c) {
  const ResNetConfig config(c);
  return [read = sdk::stages_read(c, config.depths.size()), encoder = ResNetEncoder(config)](
             const Scope& at, const Value& pixels) { return FeatureMaps{picked(encoder(at, pixels), read)}; };
}

inline constexpr KnownBackbone backbones[] = {
    {"beit", beit_backbone},           {"bit", bit_backbone},       {"convnext", convnext_backbone},
    {"convnextv2", convnext_backbone}, {"dinov2", dinov2_backbone}, {"dinov2_with_registers", dinov2_backbone},
    {"resnet", resnet_stages},
};

}  // namespace onnxport::family

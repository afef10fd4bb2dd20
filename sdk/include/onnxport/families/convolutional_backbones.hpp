// SPDX-License-Identifier: Apache-2.0
// Convolutional networks through which detectors and segmenters see images: of transformers, by backbone_config, or of
// timm, by their names. Source: load_backbone, transformers 4.57 (utils/backbone_utils.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <optional>
#include <string>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/families/hgnet_v2.hpp>
#include <onnxport/families/resnet.hpp>

namespace onnxport::family {

namespace detail {
/// Of an encoder that yields what its stem and each of its stages make, those that are read.
template <class Encoder>
Backbone stages_of(Encoder encoder, std::vector<size_t> read) {
  return [encoder, read](const Scope& at, const Value& pixels) -> FeatureMaps {
    return {picked(encoder(at, pixels), read)};
  };
}
/// Those that detectors read where config.json describes no backbone: of four stages the last three.
inline std::vector<size_t> stages_of_detector(const Config& own, size_t count) {
  return own.has("model_type") ? stages_read(own, count) : std::vector<size_t>{2, 3, 4};
}
}  // namespace detail

/// Source: ResNetBackbone.
inline Backbone resnet_backbone(const Config& own) {
  const ResNetConfig c(own);
  return detail::stages_of(ResNetEncoder(c), stages_read(own, c.widths.size()));
}
/// Source: RTDetrResNetBackbone.
inline Backbone rt_detr_resnet_backbone(const Config& own) {
  ResNetConfig c(own);
  c.deep = true;
  return detail::stages_of(ResNetEncoder(c), detail::stages_of_detector(own, c.widths.size()));
}
/// Source: HGNetV2Backbone.
inline Backbone hgnet_v2_backbone(const Config& own) {
  const HGNetV2Config c(own);
  return detail::stages_of(HGNetV2Encoder(c), detail::stages_of_detector(own, c.stages.size()));
}

/// A model of timm, by its name: the fields of transformers 4, or backbone_config of version 5. Absent: one of
/// transformers.
inline std::optional<std::string> timm_name(const Config& c) {
  const Config own = c.section("backbone_config");
  if (own.text("model_type", "") == "timm_backbone") return own.text("backbone", "resnet50");
  if (c.has("backbone_config") || !c.boolean("use_timm_backbone", true)) return std::nullopt;
  return c.text("backbone", "resnet50");
}

/// A ResNet of timm, whose last stage may be dilated, by config.json of the model that has it, which reads these
/// stages.
inline Backbone timm_backbone(const Config& c, const std::string& name, const std::vector<size_t>& read) {
  c.no_effect({"use_pretrained_backbone", "backbone_kwargs"});  // of the model that the weights once came from
  ResNetConfig made = ResNetConfig::of_timm(name, c.size("num_channels", 3));
  made.dilated = c.boolean("dilation", false);
  return detail::stages_of(ResNetEncoder(made), read);
}

}  // namespace onnxport::family

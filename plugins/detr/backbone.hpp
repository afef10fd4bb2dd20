// SPDX-License-Identifier: Apache-2.0
// What DETR sees an image through: a ResNet, of transformers or of timm, as config.json says in one of three ways.
#pragma once

#include <optional>

#include <onnxport/families/resnet.hpp>

namespace detr {

using namespace onnxport::family;

/// A name of timm: the fields of transformers 4, or backbone_config of version 5. Absent: a model of transformers.
inline std::optional<std::string> timm_name(const Config& c) {
  const Config own = c.section("backbone_config");
  if (!c.has("backbone_config")) {
    if (c.boolean("use_timm_backbone", true)) return c.text("backbone", "resnet50");
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'backbone_config' is missing and 'use_timm_backbone' false: expected a map with the "
                "model_type \"resnet\" or \"timm_backbone\"");
  }
  const std::string type = own.choice("model_type", "resnet", {"resnet", "timm_backbone"});
  if (type == "resnet") return std::nullopt;
  return own.text("backbone", "resnet50");
}

inline ResNetConfig backbone_config(const Config& c) {
  c.no_effect({"use_pretrained_backbone", "backbone_kwargs"});
  const std::optional<std::string> timm = timm_name(c);
  if (!timm) return ResNetConfig(c.section("backbone_config"));
  ResNetConfig made = ResNetConfig::of_timm(*timm, c.size("num_channels", 3));
  made.dilated = c.boolean("dilation", false);
  if (made.dilated && !made.bottleneck) {
    throw Error(ONNXPORT_UNSUPPORTED, "config field 'dilation' is true with the backbone \"" + *timm +
                                          "\"; it is supported with bottlenecks, from resnet26 on");
  }
  return made;
}

/// Which of the backbone's stages are read, 0 being its stem, the coarsest one last.
inline std::vector<size_t> stages_read(const Config& c, size_t stages) {
  std::vector<int64_t> found;
  const Config own = c.section("backbone_config");
  if (timm_name(c)) {
    found = {1, 2, 3, 4};
  } else if (own.has("out_features")) {
    for (const std::string& name : own.texts("out_features"))
      found.push_back(name == "stem" ? 0 : std::atoll(name.substr(name.find_first_of("0123456789")).c_str()));
  } else if (own.has("out_indices")) {
    found = own.integers("out_indices");
  } else {
    found = {static_cast<int64_t>(stages) - 1};
  }
  std::vector<size_t> read;
  for (const int64_t stage : found) {
    const int64_t index = stage < 0 ? stage + static_cast<int64_t>(stages) : stage;
    if (index < 0 || index >= static_cast<int64_t>(stages)) {
      throw Error(ONNXPORT_CONFIG, "config field 'backbone_config.out_features' names the stage " +
                                       std::to_string(stage) + ", and there are " + std::to_string(stages - 1));
    }
    read.push_back(static_cast<size_t>(index));
  }
  return read;
}

/// The backbone's module: the wrapper of timm's models in version 5 has one more.
inline Scope backbone_at(const Scope& model) {
  const Scope at = model / "backbone.conv_encoder.model";
  return first_with("conv1.weight", {at, at / "_backbone"});
}

}  // namespace detr

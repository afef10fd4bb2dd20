// SPDX-License-Identifier: Apache-2.0
// What detectors and segmenters see an image through: an image encoder of which they read some stages. config.json
// says which one: in backbone_config, or by the name of a model of timm.
// Source: load_backbone and BackboneMixin, transformers 4.57 (backbone_utils.py).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/families/hgnet_v2.hpp>
#include <onnxport/families/resnet.hpp>

namespace onnxport::family {

/// The encoder, which yields what each stage made, its stem first, and the stages that are read, the coarsest last.
struct Backbone {
  /// module, pixels f[batch, channels, height, width] -> f[batch, n, …, …] of each stage.
  std::function<std::vector<Value>(const Scope&, const Value&)> encode;
  std::vector<size_t> read;

  std::vector<Value> operator()(const Scope& module, const Value& pixels) const {
    const std::vector<Value> all = encode(module, pixels);
    std::vector<Value> stages;
    for (const size_t stage : read) stages.push_back(all.at(stage));
    return stages;
  }
};

/// Which encoder it is where config.json does not say, and which of its stages are read then; none: the last.
struct BackboneDefaults {
  std::string type = "resnet";
  std::vector<int64_t> read{};
};

/// Stages by out_features or out_indices of a backbone's config, of `count` with the stem, which is the first. Throws
/// CONFIG where it names one that is not there.
inline std::vector<size_t> stages_read(const Config& own, size_t count, std::vector<int64_t> found) {
  if (found.empty()) found = {static_cast<int64_t>(count) - 1};
  if (own.has("out_features")) {
    found.clear();
    for (const std::string& name : own.texts("out_features"))
      found.push_back(name == "stem" ? 0 : std::atoll(name.substr(name.find_first_of("0123456789")).c_str()));
  } else if (own.has("out_indices")) {
    found = own.integers("out_indices");
  }
  std::vector<size_t> read;
  for (const int64_t stage : found) {
    const int64_t index = stage < 0 ? stage + static_cast<int64_t>(count) : stage;
    if (index < 0 || index >= static_cast<int64_t>(count)) {
      throw Error(ONNXPORT_CONFIG, "config field 'backbone_config.out_features' names the stage " +
                                       std::to_string(stage) + ", and there are " + std::to_string(count - 1));
    }
    read.push_back(static_cast<size_t>(index));
  }
  std::sort(read.begin(), read.end());
  return read;
}

/// A model of transformers, by the map backbone_config. Throws UNSUPPORTED naming the known ones.
inline Backbone backbone_of(const Config& own, const BackboneDefaults& defaults = {}) {
  const std::string type = own.choice("model_type", defaults.type, {"resnet", "rt_detr_resnet", "hgnet_v2"});
  const std::vector<int64_t> read = own.has("model_type") ? std::vector<int64_t>() : defaults.read;
  if (type == "hgnet_v2") {
    const HGNetV2Config made(own);
    return {HGNetV2Encoder(made), stages_read(own, made.stages.size() + 1, read)};
  }
  ResNetConfig made(own);
  made.deep = type == "rt_detr_resnet";
  const size_t count = made.widths.size() + 1;
  return {ResNetEncoder(std::move(made)), stages_read(own, count, read)};
}

/// A model of timm: the fields of transformers 4, or backbone_config of version 5. Absent: one of transformers.
inline std::optional<std::string> timm_name(const Config& c) {
  const Config own = c.section("backbone_config");
  if (own.text("model_type", "") == "timm_backbone") return own.text("backbone", "resnet50");
  if (c.has("backbone_config") || !c.boolean("use_timm_backbone", true)) return std::nullopt;
  return c.text("backbone", "resnet50");
}

/// A ResNet of timm, whose last stage may be dilated, by config.json of the model that has it.
inline Backbone timm_backbone(const Config& c, const std::string& name) {
  ResNetConfig made = ResNetConfig::of_timm(name, c.size("num_channels", 3));
  made.dilated = c.boolean("dilation", false);
  if (made.dilated && !made.bottleneck) {
    throw Error(ONNXPORT_UNSUPPORTED, "config field 'dilation' is true with the backbone \"" + name +
                                          "\"; it is supported with bottlenecks, from resnet26 on");
  }
  return {ResNetEncoder(std::move(made)), {1, 2, 3, 4}};
}

}  // namespace onnxport::family

// SPDX-License-Identifier: Apache-2.0
// ResNet, ResNeXt and their wide forms. Source: ResNet of timm 1.0 (resnet.py).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <onnxport/families/resnet.hpp>

#include "model.hpp"

namespace timm {

class ResNet final : public Model {
 public:
  explicit ResNet(onnxport::family::ResNetConfig form) : encoder_(std::move(form)) {}

  Value features(const Scope& model, const Value& pixels) const override {
    const std::vector<Value> stages = encoder_(model, pixels);
    for (size_t i = 0; i < stages.size(); ++i) model.graph().mark("hidden_states." + std::to_string(i), stages[i]);
    return stages.back();
  }
  Value pooled(const Scope&, const Value& features) const override { return mean_of_image(features); }
  std::string classifier() const override { return "fc"; }

 private:
  const onnxport::family::ResNetEncoder encoder_;
};

/// The model of that name, or none.
inline Made resnet(const Asked& asked) {
  if (!onnxport::family::ResNetConfig::known_to_timm(asked.name)) return {};
  return std::make_unique<ResNet>(
      onnxport::family::ResNetConfig::of_timm(asked.name, asked.arguments.size("in_chans", 3)));
}

}  // namespace timm

// SPDX-License-Identifier: Apache-2.0
// What every family of timm is to its wrapper.
#pragma once

#include <memory>
#include <string>

#include <onnxport/plugin.hpp>

namespace timm {

using namespace onnxport::sdk;

/// A model of timm between pixels and logits, by timm's names. Source: timm 1.0.
class Model {
 public:
  virtual ~Model() = default;
  /// pixels: f[batch, channels, height, width] -> f[batch, n, rows, columns], or tokens f[batch, count, n].
  /// Source: forward_features.
  virtual Value features(const Scope& model, const Value& pixels) const = 0;
  /// -> f[batch, n], what the classifier reads. Source: forward_head with pre_logits.
  virtual Value pooled(const Scope& model, const Value& features) const = 0;
  /// The name of the classifier's module.
  virtual std::string classifier() const = 0;
  /// The only size of image that it has weights for; absent: any.
  virtual std::optional<Extent> only_size() const { return {}; }
};

/// What the wrapper's config asks of a model: its architecture without the tag of its weights, and the arguments that
/// change it. A family that knows the name makes the model; the others make none.
struct Asked {
  const std::string& name;
  const Config& arguments;
};
using Made = std::unique_ptr<const Model>;

}  // namespace timm

// SPDX-License-Identifier: Apache-2.0
// Normalisations of channels, f[batch, channels, ...].
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// By the statistics of the training. Weights: weight, bias, running_mean, running_var f[channels].
/// Source: torch.nn.BatchNorm2d in evaluation.
inline Value batch_norm(const Scope& scope, const Operand& x, double epsilon = 1e-5) {
  const int64_t n = x.fixed(1);
  scope.graph().unused("*" + (scope / "num_batches_tracked").path());
  std::vector<Value> inputs{x};
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) inputs.push_back(scope.weight(name, {n}));
  return scope.composite("BatchNorm", inputs, {{"epsilon", epsilon}}).in(scope.parent());
}

struct GroupNormOptions {
  int64_t groups;
  double epsilon = 1e-5;
};
/// By mean and variance of each group of neighbouring channels over all that is behind them, and then each channel by
/// its weight: -> the same shape. Weights: weight, bias f[channels]. Source: torch.nn.GroupNorm.
inline Value group_norm(const Scope& scope, const Operand& x, const GroupNormOptions& options) {
  const int64_t n = x.fixed(1);
  return scope
      .composite("GroupNorm", {x, scope.weight("weight", {n}), scope.weight("bias", {n})},
                 {{"groups", options.groups}, {"epsilon", options.epsilon}})
      .in(scope.parent());
}

struct InstanceNormOptions {
  bool weights = false;  ///< weight and bias f[channels]
  double epsilon = 1e-5;
};
/// By mean and variance of each channel: -> the same shape. Source: torch.nn.InstanceNorm1d and 2d, without running
/// statistics.
inline Value instance_norm(const Scope& scope, const Value& x, const InstanceNormOptions& options = {}) {
  const int64_t n = x.fixed(1);
  std::vector<Value> inputs{x};
  if (options.weights) inputs.insert(inputs.end(), {scope.weight("weight", {n}), scope.weight("bias", {n})});
  return scope.composite("InstanceNorm", inputs, {{"epsilon", options.epsilon}}).in(scope.parent());
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// The feed-forward half of a layer, as data: plain or gated, its weights apart or in one matrix.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// Where a matrix has its inputs: torch.nn.Linear keeps f[out, in], GPT-2's Conv1D f[in, out].
enum class Matrix { out_in, in_out };

/// A matrix of either kind: x: f[..., in] -> f[..., out].
inline Value project(const Scope& scope, const Operand& x, Matrix matrix, const LinearOptions& options) {
  return matrix == Matrix::in_out ? linear_in_out(scope, x, options) : linear(scope, x, options);
}

struct FeedForward {
  int64_t inner;
  std::string activation = "gelu";
  /// Names of the layers. Without `gate` and `gate_up` it is down(activation(up(x))); with `gate` it is
  /// down(activation(gate(x)) · up(x)); with `gate_up` both are made by one layer, the gate first.
  std::string up = "up_proj", down = "down_proj", gate{}, gate_up{};
  bool up_first = false;  ///< in `gate_up` the gate is behind
  bool bias = false;
  bool up_bias = true, down_bias = true;  ///< false: the first layers, or the last one, have none even so
  Matrix matrix = Matrix::out_in;
};

/// x: f[..., n] -> the same. Source: the MLP classes of BertModel, GPT2Model, LlamaModel, Phi3Model and
/// ModernBertModel, transformers 4.57.
inline Value feed_forward(const Scope& scope, const Operand& x, const FeedForward& form) {
  const auto widen = [&](const std::string& name, int64_t width) {
    return project(scope / name, x, form.matrix, {.out = width, .bias = form.bias && form.up_bias});
  };
  Value h;
  if (!form.gate_up.empty()) {
    const std::vector<Value> halves = split(widen(form.gate_up, 2 * form.inner), -1, {form.inner, form.inner});
    const size_t gate = form.up_first ? 1 : 0;
    h = activation(scope, halves[gate], form.activation) * halves[1 - gate];
  } else if (!form.gate.empty()) {
    h = activation(scope, widen(form.gate, form.inner), form.activation);
    h = h * widen(form.up, form.inner);
  } else {
    h = activation(scope, widen(form.up, form.inner), form.activation);
  }
  return project(scope / form.down, h, form.matrix, {.out = x.fixed(-1), .bias = form.bias && form.down_bias});
}

}  // namespace onnxport::sdk

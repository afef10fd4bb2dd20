// SPDX-License-Identifier: Apache-2.0
// The feed-forward half of a layer, as data: plain or gated, its weights apart or in one matrix.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <string_view>
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

namespace detail {

/// What follows the layer of that name. Where the activation has weights of its own, they lie in the module act_fn, or
/// beside a layer `dense` in intermediate_act_fn, as in BertIntermediate and those of its form. Throws UNSUPPORTED
/// where the checkpoint has them nowhere there: other classes keep them under other names.
inline Value activated(const Scope& scope, const Value& x, const std::string& layer, const std::string& name) {
  constexpr std::string_view dense = ".dense";
  if (name != "xielu") return activation(x, name);
  const Scope at = layer.ends_with(dense) ? scope / layer.substr(0, layer.size() - dense.size()) / "intermediate_act_fn"
                                          : scope / "act_fn";
  if (at.has("alpha_p")) return xielu(at, x);
  throw Error(ONNXPORT_UNSUPPORTED,
              "the activation \"xielu\" has weights of its own, and the checkpoint has none of them in '" + at.path() +
                  "', where they are looked for");
}

}  // namespace detail

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
    h = detail::activated(scope, halves[gate], form.gate_up, form.activation) * halves[1 - gate];
  } else if (!form.gate.empty()) {
    h = detail::activated(scope, widen(form.gate, form.inner), form.gate, form.activation);
    h = h * widen(form.up, form.inner);
  } else {
    h = detail::activated(scope, widen(form.up, form.inner), form.up, form.activation);
  }
  return project(scope / form.down, h, form.matrix, {.out = x.fixed(-1), .bias = form.bias && form.down_bias});
}

}  // namespace onnxport::sdk

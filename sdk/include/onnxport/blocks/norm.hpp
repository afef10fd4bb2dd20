// SPDX-License-Identifier: Apache-2.0
// A normalisation over the last axis, as data: which, with what, and where its weights are.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

struct Norm {
  enum class Kind {
    layer,  ///< (x - mean) / √(variance + ε) · weight + bias
    rms,    ///< x / √(mean(x²) + ε) · weight
  };
  Kind kind = Kind::layer;
  double epsilon = 1e-5;
  bool weight = true;  ///< false: 1, as in OLMo
  bool bias = true;    ///< of a layer norm
  double offset = 0;   ///< added to the weight: 1 in Gemma, which saves the difference from 1
};

/// x: f[..., n] -> the same. Weights: weight f[n], bias f[n] as the norm has them. Source: torch.nn.LayerNorm,
/// LlamaRMSNorm, GemmaRMSNorm and OlmoLayerNorm, transformers 4.57.
inline Value norm(const Scope& scope, const Operand& x, const Norm& form) {
  const int64_t n = x.fixed(-1);
  Graph& g = scope.graph();
  Value weight = form.weight ? scope.weight("weight", {n})
                             : g.constant<float>(DType::f32, {n}, std::vector<float>(static_cast<size_t>(n), 1.0f));
  if (form.offset != 0) weight = weight + form.offset;
  std::vector<Value> inputs{x, weight};
  const bool is_layer = form.kind == Norm::Kind::layer;
  if (is_layer && form.bias) inputs.push_back(scope.weight("bias", {n}));
  return scope.composite(is_layer ? "LayerNorm" : "RMSNorm", inputs, {{"epsilon", form.epsilon}}).in(scope.parent());
}

}  // namespace onnxport::sdk

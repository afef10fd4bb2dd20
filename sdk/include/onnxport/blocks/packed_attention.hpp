// SPDX-License-Identifier: Apache-2.0
// torch's own attention, whose three first layers are one.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <vector>

#include <onnxport/blocks/attention.hpp>

namespace onnxport::sdk {

struct PackedAttention {
  int64_t heads;
  Value bias{};        ///< added to the scaled scores; broadcastable to f[batch, heads, n, m]
  bool biased = true;  ///< whether its layers have biases
};
/// Queries f[batch, n, width], keys and values f[batch, m, width] before their layers -> f[batch, n, width]. Weights:
/// in_proj_weight f[3·width, width], in_proj_bias f[3·width], out_proj. Source: torch.nn.MultiheadAttention.
inline Value attend_packed(const Scope& s, const QueryKeyValue& at, const PackedAttention& form) {
  const int64_t width = at.query.fixed(-1);
  const std::vector<int64_t> thirds{width, width, width};
  const std::vector<Value> weights = split(s.weight("in_proj_weight", {3 * width, width}), 0, thirds);
  std::vector<Value> biases;
  if (form.biased) biases = split(s.weight("in_proj_bias", {3 * width}), 0, thirds);
  const auto projected = [&](size_t i, const Value& x) {
    const Value y = matmul(x.in(s), transpose(weights[i], {1, 0}));
    return form.biased ? y + biases[i] : y;
  };
  const Value mixed = attention(projected(0, at.query), projected(1, at.key), projected(2, at.value),
                                {.heads = form.heads, .bias = form.bias})
                          .mixed;
  return linear(s / "out_proj", mixed, {.out = width, .bias = form.biased}).in(s.parent());
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Attention of detectors, in which positions are no part of what is passed on.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// What the layers of an attention are called.
struct ProjectionNames {
  const char *query = "q_proj", *key = "k_proj", *value = "v_proj", *output = "out_proj";
};
/// What an attention looks at: f[batch, m, width] and the positions of both sides, which may be absent.
struct AtPositions {
  int64_t heads;
  Value query_positions;
  Value seen, seen_positions, mask{};
  Value bias{};  ///< added to the scaled scores; broadcastable to f[batch, heads, n, m]
  ProjectionNames names{};
};
/// Positions tell queries and keys apart, and not values: f[batch, n, width] -> the same. Source: DetrAttention,
/// transformers 4.57.
inline Value attend_at_positions(const Scope& s, const Operand& x, const AtPositions& to) {
  const auto projected = [&](const char* name, const Value& of) { return linear(s / name, of, {.out = x.fixed(-1)}); };
  const auto placed = [](const Value& of, const Value& at) { return at ? of + at : of; };
  const Value mixed =
      attention(projected(to.names.query, placed(x, to.query_positions)),
                projected(to.names.key, placed(to.seen, to.seen_positions)), projected(to.names.value, to.seen),
                {.heads = to.heads, .bias = to.bias, .mask = to.mask})
          .mixed;
  return projected(to.names.output, mixed);
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Attention of detectors, in which positions are no part of what is passed on.
#pragma once

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// What an attention looks at: f[batch, m, width] and the positions of both sides, which may be absent.
struct AtPositions {
  int64_t heads;
  Value query_positions;
  Value seen, seen_positions, mask{};
};
/// Positions tell queries and keys apart, and not values: f[batch, n, width] -> the same. Weights: q_proj, k_proj,
/// v_proj and out_proj. Source: DetrAttention, transformers 4.57.
inline Value attend_at_positions(const Scope& s, const Value& x, const AtPositions& to) {
  const auto projected = [&](const char* name, const Value& of) { return linear(s / name, of, {.out = x.fixed(-1)}); };
  const auto placed = [](const Value& of, const Value& at) { return at ? of + at : of; };
  const Value mixed = attention(projected("q_proj", placed(x, to.query_positions)),
                                projected("k_proj", placed(to.seen, to.seen_positions)), projected("v_proj", to.seen),
                                {.heads = to.heads, .mask = to.mask})
                          .mixed;
  return projected("out_proj", mixed);
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// The inputs of the composites LSTM and GRU by their places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace onnxport::ir::recurrent {

/// x: f[length, batch, width]; what it starts from, f[directions, batch, hidden] or absent for zeros; then the weights
/// of each direction.
inline constexpr size_t x = 0, state = 1, cell = 2, weights = 3;

/// Of one direction, as torch has them: f[gates·hidden, width], f[gates·hidden, hidden], f[gates·hidden] twice or
/// neither. The gates of an LSTM are in, forget, cell, out; those of a GRU reset, update, new.
inline constexpr size_t input_weight = 0, state_weight = 1, input_bias = 2, state_bias = 3, per_direction = 4;

inline int64_t gates_of(std::string_view op) {
  return op == "LSTM" ? 4 : 3;
}

}  // namespace onnxport::ir::recurrent

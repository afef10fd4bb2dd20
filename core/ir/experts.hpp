// SPDX-License-Identifier: Apache-2.0
// What the parts that know of a mixture of experts share: its inputs by position, and its activations.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace onnxport::ir::experts {

/// Inputs of MixtureOfExperts. All from `choice` on may be absent but up and down.
enum Input : size_t { x, scores, choice, gate, up, down, gate_bias, up_bias, down_bias, count };

/// What `activation` may be; gelu_tanh and relu2 are x/2 · (1 + tanh(…)) and relu(x)².
inline constexpr std::array<std::string_view, 5> activations{"silu", "gelu", "gelu_tanh", "relu", "relu2"};

}  // namespace onnxport::ir::experts

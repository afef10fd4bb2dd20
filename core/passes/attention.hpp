// SPDX-License-Identifier: Apache-2.0
// Lowering of the composite Attention: where its forms are chosen.
#pragma once

#include <vector>

#include "core/passes/builder.hpp"

namespace onnxport {

/// f[batch, n, heads·d] -> f[batch, n, heads, d] with its axes in the order `perm`.
ir::ValueId into_heads(Builder& b, ir::ValueId x, int64_t heads, std::vector<int64_t> perm);

/// The rule of Attention: ONNX's operator of that name from opset 23 where that says the same, else its steps.
std::vector<ir::ValueId> lower_attention(Builder& b);

}  // namespace onnxport

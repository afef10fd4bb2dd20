// SPDX-License-Identifier: Apache-2.0
// Lowering of the composite Attention: where its forms are chosen.
#pragma once

#include <vector>

#include "core/ir/builder.hpp"

namespace onnxport::ir {

/// The rule of Attention: ONNX's operator of that name from opset 23 where that says the same, else its steps.
Results lower_attention(Builder& b);

}  // namespace onnxport::ir

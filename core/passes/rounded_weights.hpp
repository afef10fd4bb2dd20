// SPDX-License-Identifier: Apache-2.0
// What a type of 16 bits costs by its weights alone.
#pragma once

#include "core/ir/graph.hpp"

namespace onnxport {

/// The definition with weights of f32 rounded to the type, and computed with in f32.
ir::Graph with_rounded_weights(ir::Graph definition, ir::DType dtype);

}  // namespace onnxport

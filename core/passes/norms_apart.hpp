// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/ir/graph.hpp"

namespace onnxport {

/// Where a layer norm is of a sum that nothing else reads, the sum of two tensors of one shape is ONNX's Sum instead of
/// Add, in place. It is for graphs whose axes are fixed: of an Add with a LayerNormalization behind it, and of shapes
/// that it knows, ONNX Runtime makes a SkipLayerNormalization, which on a CPU takes several times as long as the two.
void keep_norms_apart(ir::Graph& graph);

}  // namespace onnxport

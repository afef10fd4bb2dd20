// SPDX-License-Identifier: Apache-2.0
// What a run takes beside the weights.
#pragma once

#include <cstdint>

#include "core/ir/graph.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Bytes of the largest set of results that are alive together when the graph runs on these inputs, in order and with
/// each result given up after its last use; with the scores of attentions. Results whose length only the run tells
/// count as nothing.
uint64_t activation_bytes(const ir::Graph& graph, const Tensors& inputs);

}  // namespace onnxport

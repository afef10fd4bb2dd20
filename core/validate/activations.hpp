// SPDX-License-Identifier: Apache-2.0
// What a run takes beside the weights.
#pragma once

#include <cstdint>

#include "core/ir/graph.hpp"
#include "core/ir/lengths.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Bytes of the largest set of results that are alive together when the graph runs on these inputs, in order and with
/// each result given up after its last use; with the scores of attentions. Results whose length only the run tells
/// count as nothing.
uint64_t activation_bytes(const ir::Graph& graph, const Tensors& inputs);

/// Bytes of all results of the graph on these inputs, as where each is kept to be looked at.
uint64_t result_bytes(const ir::Graph& graph, const Tensors& inputs);

/// Bytes of a tensor where symbols have these lengths; what is beyond a number of 64 bits is the largest of them, and a
/// length that nobody knows counts as 1.
uint64_t tensor_bytes(const ir::TensorType& type, const ir::Lengths& lengths);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/ir/graph.hpp"
#include "core/passes/lower.hpp"

namespace onnxport {

/// A linear layer without a bias whose result is split along its width becomes a layer for each part, in place; in
/// bodies likewise. Each reads its rows of the stored matrix, and nothing is copied out of a wide result. Layers with a
/// bias stay, as each part would take one node more, and so do those with a part that is much narrower than their
/// input, which is read for each part anew. What a patch claims stays.
void divide_layers(ir::Graph& graph, const std::vector<Patch>& patches);

}  // namespace onnxport

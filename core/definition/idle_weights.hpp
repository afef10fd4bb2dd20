// SPDX-License-Identifier: Apache-2.0
// Weights that a definition asks for and does nothing with.
#pragma once

#include <string>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport {

/// The names of the graph's weights on which none of its outputs depends, sorted.
std::vector<std::string> idle_weights(const ir::Graph& graph);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/ir/graph.hpp"

namespace onnxport {

/// Gives axes of the inputs that have a name a size, in place, and infers what follows from it. Names that the graph
/// does not have mean nothing. Throws Error(usage) where an axis whose size the model fixes is given another, and where
/// an operator does not take what comes out.
void fix_axes(ir::Graph& graph, const std::map<std::string, int64_t>& sizes);

}  // namespace onnxport

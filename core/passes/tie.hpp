// SPDX-License-Identifier: Apache-2.0
// Weights that a checkpoint holds twice under two names: a head that is tied to the embedding.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport {

/// Finds matrices that an Embedding or Gather looks rows up in and of which another weight has the same shape, type and
/// bytes, and makes the graph use the first for both, in place. Only such candidates are read, side by side, up to the
/// first difference. Yields (name that is gone, name that stands for it).
std::vector<std::pair<std::string, std::string>> tie_equal_weights(ir::Graph& graph);

}  // namespace onnxport

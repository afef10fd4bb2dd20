// SPDX-License-Identifier: Apache-2.0
// The passes that run behind lowering.
#pragma once

#include "core/ir/graph.hpp"

namespace onnxport {

/// Merges nodes that compute the same, in place; in bodies likewise, each by itself.
void merge_equal_nodes(ir::Graph& graph);
/// Removes nodes whose results nobody uses, and marks on them, in place; in bodies likewise.
void remove_unused_nodes(ir::Graph& graph);
/// Gives every node and value its name after the module path, in place: "/encoder/layer.3/output/dense/MatMul". Names
/// in bodies begin with the body's: "/then_branch/encoder/...".
void name_nodes(ir::Graph& graph);

}  // namespace onnxport

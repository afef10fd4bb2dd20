// SPDX-License-Identifier: Apache-2.0
// Folding: what depends on weights and constants alone is done at export.
#pragma once

#include <vector>

#include "core/ir/graph.hpp"
#include "core/passes/lower.hpp"

namespace onnxport {

struct FoldOptions {
  const std::vector<Patch>& patches;  // what they claim stays
  /// Only what leaves the checkpoint's bytes where they are, and stacks, which are written whatever they are made of.
  bool weights_as_stored = false;
};

/// Does at export what depends on weights and constants alone, in place: another layout, sums and products, a
/// normalisation by fixed statistics behind a convolution, a scale behind a linear layer. Nothing is read yet: the
/// weights carry it as transforms. In bodies likewise, each by itself.
void fold_weights(ir::Graph& graph, const FoldOptions& options);

}  // namespace onnxport

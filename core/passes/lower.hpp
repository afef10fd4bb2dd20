// SPDX-License-Identifier: Apache-2.0
// Lowering: from the graph as it was defined to one that holds ONNX operators of one opset only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/ir/operators.hpp"

namespace onnxport {

/// A node that a patch is to replace: its inputs are values of the lowered graph already, and `types` are those of its
/// results.
struct PatchedNode {
  const ir::Node& node;
  const std::vector<ir::TensorType>& types;
};

/// Builds the replacement of a node in the lowered graph and yields as many values as the node has outputs.
using PatchLowering = std::function<std::vector<ir::ValueId>(ir::Graph& lowered, const PatchedNode& patched)>;

struct Patch {
  std::string domain, op;
  PatchLowering lower;
};

struct LoweringOptions {
  int64_t opset = 18;
  std::vector<Patch> patches;
  /// Weights keep the bytes that the checkpoint has: Linear takes Gemm(transB), which reads torch's layout as fast, and
  /// what is of another type than it is used in goes through a Cast, which runtimes fold when they load the model.
  bool weights_as_stored = false;
  Target target = Target::onnx;
  /// Where rules are looked up; tests have others.
  ir::Rule (*find_rule)(const ir::Node&, int64_t opset, Target) = ir::find_rule;
};

/// The lowered graph: still in canonical form (static operands as attributes), no composites, no operator that is
/// newer than the opset, equal nodes merged, nodes without use removed, every node and value named. Marks are
/// kept where their value is. Bodies are lowered likewise, each by itself. Throws Error(usage) where the opset cannot
/// express an operator.
ir::Graph lower(const ir::Graph& graph, const LoweringOptions& options);

/// Does at export what depends on weights alone, in place: another layout of a weight, a sum of two, a normalisation by
/// fixed statistics behind a convolution, a scale behind a linear layer. Nothing is read yet: the weights carry it as
/// transforms. Operators that a patch claims stay.
void fold_weights(ir::Graph& graph, const std::vector<Patch>& patches);
/// Merges nodes that compute the same, in place.
void merge_equal_nodes(ir::Graph& graph);
/// Removes nodes whose results nobody uses, in place.
void remove_unused_nodes(ir::Graph& graph);
/// Gives every node and value its name after the module path, in place: "/encoder/layer.3/output/dense/MatMul". Names
/// in bodies begin with the body's: "/then_branch/encoder/...".
void name_nodes(ir::Graph& graph);

}  // namespace onnxport

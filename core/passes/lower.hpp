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

  bool claims(const ir::Node& node) const { return node.domain == domain && node.op == op; }
};

struct RuleOptions {
  int64_t opset = 18;
  std::vector<Patch> patches = {};
  bool weights_as_stored = false;
  Target target = Target::onnx;
  /// Composites for which no rule is found stay.
  bool keeps_composites = false;
  /// Where rules are looked up; tests have others.
  ir::Rule (*find_rule)(const ir::Node&, int64_t opset, Target) = ir::find_rule;
};

/// The graph by the rules: still in canonical form (static operands as attributes), no composites, no operator that is
/// newer than the opset. Bodies are lowered likewise, each by itself. Marks are kept. Throws Error(internal) where
/// rules lead in a circle, or there is none for a composite.
ir::Graph apply_rules(const ir::Graph& graph, const RuleOptions& options);

}  // namespace onnxport

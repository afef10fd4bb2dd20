// SPDX-License-Identifier: Apache-2.0
// What lowering rules build with: nodes of the lowered graph in the scope of the node that is being lowered.
#pragma once

#include <string>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport {

class Lowering;

/// The replacement of one node under construction.
class Builder {
 public:
  Builder(Lowering& lowering, const ir::Node& node) : lowering_(lowering), node_(node), scope_(node.scope) {}

  /// The same with its nodes in another scope: for what nodes of several modules share.
  Builder in_scope(std::string scope) const {
    Builder other = *this;
    other.scope_ = std::move(scope);
    return other;
  }

  /// The node that is lowered; its inputs are values of the lowered graph.
  const ir::Node& node() const { return node_; }
  int64_t opset() const;
  const ir::Value& value(ir::ValueId id) const;
  const ir::Shape& shape(ir::ValueId id) const { return value(id).type.shape; }
  ir::DType dtype(ir::ValueId id) const { return value(id).type.dtype; }
  ir::Graph& graph();

  /// Adds an operator, which is lowered in turn where it needs to be. One result.
  ir::ValueId op(const std::string& name, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {});
  std::vector<ir::ValueId> ops(const std::string& domain, const std::string& name, std::vector<ir::ValueId> inputs,
                               ir::Attributes attributes, size_t outputs);
  /// Adds an If, Loop or Scan in the scope of the node; its bodies are lowered.
  std::vector<ir::ValueId> run(ir::Node node, size_t outputs);
  ir::ValueId composite(const std::string& name, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {});

  /// A number as a tensor without axes.
  ir::ValueId scalar(double value, ir::DType dtype);
  ir::ValueId integers(std::vector<int64_t> values);
  ir::ValueId integer(int64_t value);
  ir::ValueId reshape(ir::ValueId x, std::vector<int64_t> shape) {
    return op("Reshape", {x}, {{"shape", std::move(shape)}});
  }
  ir::ValueId transpose(ir::ValueId x, std::vector<int64_t> perm) {
    return op("Transpose", {x}, {{"perm", std::move(perm)}});
  }
  ir::ValueId unsqueeze(ir::ValueId x, std::vector<int64_t> axes) {
    return op("Unsqueeze", {x}, {{"axes", std::move(axes)}});
  }

  /// One axis's length as i64[1]: a constant where it is fixed, taken from a graph input that has the same
  /// axis where there is one (so that equal lengths are computed once), else from `x` itself.
  ir::ValueId length(ir::ValueId x, size_t axis);
  /// Whether a weight is to be read in its stored layout: where all are, and where it is needed so elsewhere, so that a
  /// transposed copy would be a second one.
  bool stored_layout_needed(ir::ValueId weight) const;

 private:
  Lowering& lowering_;
  const ir::Node& node_;
  std::string scope_;
};

/// Lowers one operator; yields its results.
using Rule = std::vector<ir::ValueId> (*)(Builder&);

/// The rule for an operator at an opset, or null where it stays as it is.
Rule find_rule(const std::string& domain, const std::string& op, int64_t opset);

}  // namespace onnxport

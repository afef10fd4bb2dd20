// SPDX-License-Identifier: Apache-2.0
// What lowering rules build with: nodes of the lowered graph in the scope of the node that is being lowered.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport::ir {

/// As the end of a slice: all that follows.
inline constexpr int64_t to_end = std::numeric_limits<int64_t>::max();

/// What a rule yields: the results of the node that it lowers.
using Results = std::vector<ValueId>;

/// A graph that is being made of another one, as rules see it.
class LoweredGraph {
 public:
  virtual ~LoweredGraph() = default;

  Graph graph;

  virtual int64_t opset() const = 0;
  /// Adds a node, lowering it first where a rule wants that. Throws Error(internal) where rules lead in a circle.
  virtual std::vector<ValueId> emit(Node node, size_t outputs) = 0;
  /// Adds a node whose bodies are lowered first.
  virtual std::vector<ValueId> emit_with_bodies(Node node, size_t outputs) = 0;
  /// Whether weights keep the bytes that the checkpoint has, and whether this one is used in its stored layout
  /// elsewhere.
  virtual bool weights_as_stored() const = 0;
  virtual bool used_as_stored(const Weight& weight) const = 0;
};

/// The replacement of one node under construction.
class Builder {
 public:
  /// Both must outlive it.
  Builder(LoweredGraph& lowered, const Node& node) : lowered_(lowered), node_(node), scope_(node.scope) {}

  /// The same with its nodes in another scope: for what nodes of several modules share.
  Builder in_scope(std::string scope) const {
    Builder other = *this;
    other.scope_ = std::move(scope);
    return other;
  }

  /// The node that is lowered; its inputs are values of the lowered graph.
  const Node& node() const { return node_; }
  int64_t opset() const { return lowered_.opset(); }
  const Value& value(ValueId id) const { return lowered_.graph[id]; }
  const Shape& shape(ValueId id) const { return value(id).type.shape; }
  DType dtype(ValueId id) const { return value(id).type.dtype; }
  Graph& graph() { return lowered_.graph; }

  /// Adds an operator, which is lowered in turn where it needs to be. One result.
  ValueId op(const std::string& name, std::vector<ValueId> inputs, Attributes attributes = {});
  std::vector<ValueId> ops(const std::string& domain, const std::string& name, std::vector<ValueId> inputs,
                           Attributes attributes, size_t outputs);
  /// Adds an If, Loop or Scan in the scope of the node; its bodies are lowered.
  std::vector<ValueId> run(Node node, size_t outputs);
  ValueId composite(const std::string& name, std::vector<ValueId> inputs, Attributes attributes = {});
  /// Adds the operator that is lowered as one that stays, whatever its rules say.
  std::vector<ValueId> keep(Attributes attributes, size_t outputs = 1);

  /// A number as a tensor without axes.
  ValueId scalar(double value, DType dtype);
  ValueId integers(std::vector<int64_t> values);
  ValueId integer(int64_t value);
  ValueId reshape(ValueId x, std::vector<int64_t> shape) { return op("Reshape", {x}, {{"shape", std::move(shape)}}); }
  ValueId transpose(ValueId x, std::vector<int64_t> perm) { return op("Transpose", {x}, {{"perm", std::move(perm)}}); }
  ValueId unsqueeze(ValueId x, std::vector<int64_t> axes) { return op("Unsqueeze", {x}, {{"axes", std::move(axes)}}); }

  /// One axis's length as i64[1]: a constant where it is fixed, taken from a graph input that has the same
  /// axis where there is one (so that equal lengths are computed once), else from `x` itself.
  ValueId length(ValueId x, size_t axis);
  /// Whether a weight is to be read in its stored layout: where all are, and where it is needed so elsewhere, so that a
  /// transposed copy would be a second one.
  bool stored_layout_needed(ValueId weight) const;

 private:
  LoweredGraph& lowered_;
  const Node& node_;
  std::string scope_;
};

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
// The graph that a plugin defines: ONNX's operators in one canonical form, and composites.
//
// Canonical form. What is known when the graph is built is an attribute, whatever the opset does: Reshape has
// `shape`, Slice `starts`/`ends`/`axes`/`steps`, Unsqueeze/Squeeze/ReduceMean `axes`. Lowering turns these into
// what an opset wants. Where such a thing is only known at run time it is a further input instead of an attribute.
// docs/operators.md lists every operator with its inputs and attributes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/checkpoint/weight.hpp"
#include "core/ir/types.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport::ir {

/// Index into Graph::values. 0 is "absent".
using ValueId = uint32_t;
constexpr ValueId absent = 0;

using Attribute = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
using Attributes = std::map<std::string, Attribute>;

class Graph;
/// The graphs that a node runs, by ONNX's names for them: then_branch and else_branch, or body.
using Bodies = std::map<std::string, std::shared_ptr<const Graph>>;

/// Domain of the composites.
inline constexpr const char* composite_domain = "onnxport";

/// One operation. `scope` is the module path ("encoder.layer.3.attention.self.query").
struct Node {
  std::string domain;  // "" is ONNX
  std::string op;
  std::string scope;
  std::vector<ValueId> inputs;  // absent for an optional input that is not given
  std::vector<ValueId> outputs;
  Attributes attributes;
  std::string name;  // given by lowering; empty before
  /// Of If, Loop and Scan. A body sees nothing but its inputs: first those that the operator hands it, then what it
  /// uses of the graph around it. These captures are the last of `inputs`, in the same order; both branches of an If
  /// take all of them, used or not. So every pass sees who uses a value without looking into bodies.
  Bodies bodies{};
  /// With bodies: how many of `inputs` the operator takes itself. The others are captures.
  size_t formal_inputs = 0;

  int64_t integer(const std::string& key, int64_t fallback) const;
  double real(const std::string& key, double fallback) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  /// Empty where absent.
  std::vector<int64_t> integers(const std::string& key) const;
  bool has(const std::string& key) const { return attributes.contains(key); }
  ValueId input(size_t index) const { return index < inputs.size() ? inputs[index] : absent; }
};

/// Where a value comes from.
enum class Origin { none, input, node, constant, weight };

struct Value {
  Origin origin = Origin::none;
  TensorType type;
  /// Graph inputs: their name. Weights: the checkpoint's tensor name. Node results: given by lowering.
  std::string name;
  /// Graph inputs: axes of a fixed size that the file leaves open, with the names that it gives them.
  std::map<size_t, std::string> open_axes;
  /// Known contents of a small integer tensor (at most 1-D), as symbolic numbers: what Shape yields.
  std::optional<Shape> contents;
  std::shared_ptr<const Tensor> constant;  // origin constant
  std::shared_ptr<const Weight> weight;    // origin weight
};

struct NamedValue {
  std::string name;
  ValueId value = absent;
};

/// A graph in topological order.
class Graph {
 public:
  std::string name = "model";
  std::vector<Node> nodes;
  std::vector<Value> values{Value{}};  // [0] is the absent one
  std::vector<NamedValue> inputs;
  std::vector<NamedValue> outputs;
  /// Named steps of the model ("hidden_states.0"), kept as long as the value lives.
  std::vector<NamedValue> marks;

  const Value& operator[](ValueId id) const { return values.at(id); }
  Value& operator[](ValueId id) { return values.at(id); }

  ValueId add_input(std::string name, TensorType type);
  /// Equal tensors give the same value.
  ValueId add_constant(Tensor tensor);
  /// Weights that are same_as() give the same value. The name is that of the checkpoint.
  ValueId add_weight(std::string name, Weight weight);
  /// Appends a node after inferring its results' types. Throws Error(plugin) naming the operator, the scope and
  /// the input types where it is unknown, or its inputs or attributes do not fit.
  std::vector<ValueId> add_node(Node node, size_t outputs = 1);
  /// A result without inference, for nodes that are known to be right (lowering copies types).
  ValueId add_value(Value value);
  void add_output(std::string name, ValueId value);

  /// By value: the places in `nodes` of those that take it, each as often as it does; for an output of the graph
  /// nodes.size(). What bodies use is among their node's inputs.
  std::vector<std::vector<size_t>> users() const;
  /// Lets what takes a value (nodes, outputs and marks) take another instead. None may stand for one that is replaced.
  void replace(const std::map<ValueId, ValueId>& by);
  void replace(ValueId value, ValueId by) { replace(std::map<ValueId, ValueId>{{value, by}}); }
  /// Throws Error(internal), saying what is wrong and where, unless every value is made once, before it is used, and is
  /// what its operator makes of its inputs; bodies likewise. Passes are held against it in tests.
  void verify() const;

 private:
  std::map<std::string, std::vector<ValueId>> constants_;  // by type, shape and first bytes
  std::map<std::string, std::vector<ValueId>> weights_;    // by name
};

/// Lets `rewrite` change each graph that a node runs.
void rewrite_bodies(Node& node, const std::function<void(Graph&)>& rewrite);

/// The nodes of a graph and of all bodies in it.
size_t node_count(const Graph& graph);

/// "MatMul(f32[batch, 4], f32[4, 8])"
std::string describe(const Graph& graph, const Node& node);

}  // namespace onnxport::ir

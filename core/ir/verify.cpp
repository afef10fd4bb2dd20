// SPDX-License-Identifier: Apache-2.0
// What must hold of a graph whoever made it.
#include <fmt/format.h>

#include <set>
#include <stdexcept>

#include "core/error.hpp"
#include "core/ir/functions.hpp"
#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), made_(graph.values.size(), false) {}

  void run() {
    std::set<std::string> names;
    for (const NamedValue& input : graph_.inputs) {
      require(exists(input.value) && graph_[input.value].origin == Origin::input, "the input", input.name,
              "is no input's value");
      require(names.insert(input.name).second, "the input", input.name, "is there twice");
      made_[input.value] = true;
    }
    for (const Node& node : graph_.nodes) check(node);
    names.clear();
    for (const NamedValue& output : graph_.outputs) {
      require(available(output.value), "the output", output.name, "is a value that nothing makes");
      require(names.insert(output.name).second, "the output", output.name, "is there twice");
    }
    for (const NamedValue& mark : graph_.marks)
      require(available(mark.value), "the mark", mark.name, "is on a value that nothing makes");
  }

 private:
  void require(bool holds, const char* what, const std::string& name, const std::string& why) const {
    if (!holds)
      throw Error(Failure::internal, fmt::format("{} '{}' of the graph '{}' {}", what, name, graph_.name, why));
  }

  bool exists(ValueId id) const { return id != absent && id < graph_.values.size(); }

  /// Whether there is something to be used: made by a node further up, or there from the beginning.
  bool available(ValueId id) const {
    if (!exists(id)) return false;
    const Value& value = graph_[id];
    switch (value.origin) {
      case Origin::constant:
        return value.constant != nullptr && value.constant->dtype == value.type.dtype &&
               has_shape(value, value.constant->shape);
      case Origin::weight:
        return value.weight != nullptr && value.weight->dtype() == value.type.dtype &&
               has_shape(value, value.weight->shape());
      case Origin::input:
      case Origin::node:
        return made_[id];
      default:
        return false;
    }
  }

  static bool has_shape(const Value& value, const std::vector<int64_t>& shape) {
    return value.type.shape == Shape(shape.begin(), shape.end());
  }

  void check(const Node& node) {
    const std::string name = node.scope.empty() ? node.op : node.scope + "." + node.op;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      require(node.inputs[i] == absent || available(node.inputs[i]), "the node", name,
              fmt::format("takes as input {} a value that nothing before it makes", i));
    }
    require(!node.outputs.empty(), "the node", name, "yields nothing");
    for (ValueId output : node.outputs) {
      require(exists(output) && graph_[output].origin == Origin::node, "the node", name, "yields what is no result");
      require(!made_[output], "the node", name, "yields what another makes as well");
      made_[output] = true;
    }
    for (const auto& [attribute, body] : node.bodies) {
      require(body != nullptr, "the node", name, "has no graph as its " + attribute);
      body->verify();
    }
    if (const Operator* op = operator_of(node)) check_types(*op, node, name);
  }

  /// What inference makes of the node as it stands now. Symbols may have got other names since.
  void check_types(const Operator& op, const Node& node, const std::string& name) const {
    require(node.inputs.size() >= op.inputs.least && node.inputs.size() <= op.inputs.most, "the node", name,
            fmt::format("has {} inputs", node.inputs.size()));
    std::vector<Value> results(node.outputs.size());
    Inference inference{graph_, node, results};
    try {
      Attributes attributes = node.attributes;
      if (!is_function(node)) check_attributes(op, attributes);
      op.infer(inference);
    } catch (const std::invalid_argument& problem) {
      require(false, "the node", name, fmt::format("is {}: {}", describe(graph_, node), problem.what()));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      const TensorType &is = graph_[node.outputs[i]].type, &must_be = results[i].type;
      require(compatible(is, must_be), "the node", name,
              fmt::format("yields {} as result {}, which is declared as {}", to_string(must_be), i, to_string(is)));
    }
  }

  static bool compatible(const TensorType& a, const TensorType& b) {
    if (a.dtype != b.dtype || a.shape.size() != b.shape.size()) return false;
    for (size_t axis = 0; axis < a.shape.size(); ++axis) {
      const Dim &left = a.shape[axis], &right = b.shape[axis];
      if (left.is_static() && right.is_static() && !(left == right)) return false;
    }
    return true;
  }

  const Graph& graph_;
  std::vector<bool> made_;
};

}  // namespace

void Graph::verify() const {
  Verifier(*this).run();
}

}  // namespace onnxport::ir

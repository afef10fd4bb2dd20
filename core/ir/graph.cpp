// SPDX-License-Identifier: Apache-2.0
#include "core/ir/graph.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/edit_distance.hpp"
#include "core/error.hpp"
#include "core/ir/functions.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::ir {
namespace {

/// Equal keys for tensors that may be equal: type, shape and, for short ones, the bytes themselves.
std::string constant_key(const Tensor& tensor) {
  std::string key = fmt::format("{}:", static_cast<int>(tensor.dtype));
  for (int64_t size : tensor.shape) key += fmt::format("{},", size);
  const size_t prefix = std::min<size_t>(tensor.data.size(), 64);
  key.append(reinterpret_cast<const char*>(tensor.data.data()), prefix);
  return key;
}

template <class T>
T attribute_or(const Node& node, const std::string& key, T fallback) {
  const auto found = node.attributes.find(key);
  if (found == node.attributes.end()) return fallback;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  throw Error(Failure::plugin, fmt::format("{} in {}: attribute '{}' has another type than the operator takes", node.op,
                                           node.scope.empty() ? "the model" : node.scope, key));
}

/// What to do about an operator that is not known: it may be spelt otherwise, or be of the other domain.
std::string instead_of_unknown(const Node& node) {
  if (!node.domain.empty() && node.domain != composite_domain)
    return "an operator of the plugin's own stands among its patching_specs(), with what it is made of";
  const bool is_composite = node.domain == composite_domain;
  if (find_operator(is_composite ? "" : composite_domain, node.op) != nullptr) {
    return is_composite ? fmt::format("{} is an operator of ONNX's: op(\"{}\", …)", node.op, node.op)
                        : fmt::format("{} is a composite: composite(\"{}\", …)", node.op, node.op);
  }
  std::vector<std::string_view> known;
  for (const Operator& op : operators()) {
    if (op.domain == node.domain) known.push_back(op.name);
  }
  const std::string_view meant = nearest_word(node.op, known);
  return meant.empty() ? "see docs/operators.md for those there are"
                       : fmt::format("did you mean {}? docs/operators.md lists all", meant);
}

}  // namespace

int64_t Node::integer(const std::string& key, int64_t fallback) const {
  return attribute_or(*this, key, fallback);
}
double Node::real(const std::string& key, double fallback) const {
  return attribute_or(*this, key, fallback);
}
std::string Node::text(const std::string& key, const std::string& fallback) const {
  return attribute_or(*this, key, fallback);
}
std::vector<int64_t> Node::integers(const std::string& key) const {
  return attribute_or(*this, key, std::vector<int64_t>{});
}

ValueId Graph::add_value(Value value) {
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::add_input(std::string name, TensorType type) {
  Value value;
  value.origin = Origin::input;
  value.type = std::move(type);
  value.name = name;
  const ValueId id = add_value(std::move(value));
  inputs.push_back({std::move(name), id});
  return id;
}

ValueId Graph::add_constant(Tensor tensor) {
  std::vector<ValueId>& same_key = constants_[constant_key(tensor)];
  for (ValueId id : same_key) {
    if (*values[id].constant == tensor) return id;
  }
  Value value;
  value.origin = Origin::constant;
  value.type.dtype = tensor.dtype;
  value.type.shape.assign(tensor.shape.begin(), tensor.shape.end());
  if (tensor.dtype == DType::i64 && tensor.shape.size() <= 1) {
    value.contents.emplace();
    for (int64_t number : tensor.as<int64_t>()) value.contents->emplace_back(number);
  }
  value.constant = std::make_shared<const Tensor>(std::move(tensor));
  const ValueId id = add_value(std::move(value));
  same_key.push_back(id);
  return id;
}

ValueId Graph::add_weight(std::string name, Weight weight) {
  std::vector<ValueId>& same_name = weights_[name];
  for (ValueId id : same_name) {
    if (values[id].weight->same_as(weight)) return id;
  }
  Value value;
  value.origin = Origin::weight;
  value.type.dtype = weight.dtype();
  for (int64_t size : weight.shape()) value.type.shape.emplace_back(size);
  value.name = name;
  value.weight = std::make_shared<const Weight>(std::move(weight));
  const ValueId id = add_value(std::move(value));
  same_name.push_back(id);
  return id;
}

std::vector<ValueId> Graph::add_node(Node node, size_t outputs) {
  const Operator* op = operator_of(node);
  const std::string where = node.scope.empty() ? "the model" : "'" + node.scope + "'";
  if (op == nullptr) {
    throw Error(Failure::plugin,
                fmt::format("{} uses the operator '{}{}', which onnxport does not know; {}", where,
                            node.domain.empty() ? "" : node.domain + ".", node.op, instead_of_unknown(node)));
  }
  for (ValueId id : node.inputs) {
    if (id >= values.size())
      throw Error(Failure::plugin, fmt::format("{}: {} got a value that does not exist", where, node.op));
  }
  for (size_t i = 0; i < std::min(op->inputs.least, node.inputs.size()); ++i) {
    if (node.inputs[i] == absent)
      throw Error(Failure::plugin, fmt::format("{}: input {} of {} is absent, which it needs; is it one that the model "
                                               "may leave out?",
                                               where, i, node.op));
  }
  while (!node.inputs.empty() && node.inputs.back() == absent) node.inputs.pop_back();
  if (node.inputs.size() < op->inputs.least || node.inputs.size() > op->inputs.most || outputs > op->max_outputs) {
    throw Error(Failure::plugin,
                fmt::format("{}: {} was given {} inputs and {} outputs; it takes {} to {} and yields up to {}", where,
                            describe(*this, node), node.inputs.size(), outputs, op->inputs.least, op->inputs.most,
                            op->max_outputs));
  }
  std::vector<Value> results(outputs);
  Inference inference{*this, node, results};
  try {
    if (!is_function(node)) check_attributes(*op, node.attributes);
  } catch (const std::invalid_argument& problem) {  // whatever the inputs are
    throw Error(Failure::plugin, fmt::format("{}: {}: {}", where, node.op, problem.what()));
  }
  try {
    op->infer(inference);
  } catch (const std::invalid_argument& problem) {
    throw Error(Failure::plugin, fmt::format("{}: {}: {}", where, describe(*this, node), problem.what()));
  }
  for (Value& result : results) {
    result.origin = Origin::node;
    node.outputs.push_back(add_value(std::move(result)));
  }
  nodes.push_back(std::move(node));
  return nodes.back().outputs;
}

void Graph::add_output(std::string name, ValueId value) {
  outputs.push_back({std::move(name), value});
}

std::vector<std::vector<size_t>> Graph::users() const {
  std::vector<std::vector<size_t>> users(values.size());
  for (size_t at = 0; at < nodes.size(); ++at) {
    for (ValueId input : nodes[at].inputs) users[input].push_back(at);
  }
  for (const NamedValue& output : outputs) users[output.value].push_back(nodes.size());
  return users;
}

void Graph::replace(const std::map<ValueId, ValueId>& by) {
  if (by.empty()) return;
  const auto replaced = [&](ValueId& value) {
    if (const auto found = by.find(value); found != by.end()) value = found->second;
  };
  for (Node& node : nodes) std::for_each(node.inputs.begin(), node.inputs.end(), replaced);
  for (auto* list : {&outputs, &marks}) {
    for (NamedValue& named : *list) replaced(named.value);
  }
}

void rewrite_bodies(Node& node, const std::function<void(Graph&)>& rewrite) {
  for (auto& [name, body] : node.bodies) {
    Graph changed = *body;
    rewrite(changed);
    body = std::make_shared<const Graph>(std::move(changed));
  }
}

size_t node_count(const Graph& graph) {
  size_t count = graph.nodes.size();
  for (const Node& node : graph.nodes) {
    for (const auto& [name, body] : node.bodies) count += node_count(*body);
  }
  return count;
}

std::string describe(const Graph& graph, const Node& node) {
  std::string text = node.op + "(";
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) text += ", ";
    text += node.inputs[i] == absent ? "-" : to_string(graph[node.inputs[i]].type);
  }
  return text + ")";
}

}  // namespace onnxport::ir

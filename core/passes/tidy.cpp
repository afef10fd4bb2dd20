// SPDX-License-Identifier: Apache-2.0
#include "core/passes/tidy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace onnxport {

using ir::Node;
using ir::ValueId;

namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "encoder.layer.3.output" -> "/encoder/layer.3/output/"
std::string path_of(std::string_view scope) {
  std::string path = "/";
  while (!scope.empty()) {
    const size_t dot = scope.find('.');
    const std::string_view part = scope.substr(0, dot);
    if (is_digits(part) && path.size() > 1) path.back() = '.';
    path += part;
    path += '/';
    scope = dot == std::string_view::npos ? std::string_view{} : scope.substr(dot + 1);
  }
  return path;
}

/// No name stands twice in a file, those in bodies included: they begin with the body's ("/then_branch/encoder/...").
class Naming {
 public:
  explicit Naming(ir::Graph& graph) : graph_(graph) {}

  void run() {
    for (const ir::NamedValue& named : graph_.inputs) taken_.insert(named.name);
    for (const ir::NamedValue& named : graph_.outputs) taken_.insert(named.name);
    name(graph_, "");
    for (const ir::NamedValue& output : graph_.outputs) graph_[output.value].name = output.name;
  }

 private:
  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    while (!taken_.insert(name).second) name = fmt::format("{}_{}", wanted, ++counts_[wanted]);
    return name;
  }

  void name(ir::Graph& graph, const std::string& place) {
    for (Node& node : graph.nodes) {
      node.name = unique(place + path_of(node.scope) + node.op);
      for (size_t i = 0; i < node.outputs.size(); ++i)
        graph[node.outputs[i]].name = fmt::format("{}_output_{}", node.name, i);
      for (auto& [attribute, body] : node.bodies) {
        ir::Graph named = *body;
        name_body(named, place + "/" + attribute, named.inputs.size() - (node.inputs.size() - node.formal_inputs));
        body = std::make_shared<const ir::Graph>(std::move(named));
      }
    }
  }

  /// Captures, which are the inputs behind the first `own`, go by their names outside.
  void name_body(ir::Graph& body, const std::string& place, size_t own) {
    const std::string module = place.substr(1) + "/";
    name(body, place);
    for (size_t i = 0; i < own; ++i) body[body.inputs[i].value].name = unique(module + body.inputs[i].name);
    for (const ir::NamedValue& output : body.outputs) body[output.value].name = unique(module + output.name);
  }

  ir::Graph& graph_;
  std::set<std::string> taken_;
  std::map<std::string, int> counts_;
};

}  // namespace

void merge_equal_nodes(ir::Graph& graph) {
  for (Node& node : graph.nodes) ir::rewrite_bodies(node, merge_equal_nodes);
  std::map<ValueId, ValueId> replacement;
  const auto users = graph.users();
  const auto is_output = [&](ValueId id) { return !users[id].empty() && users[id].back() == graph.nodes.size(); };
  std::map<std::tuple<std::string, std::string, std::vector<ValueId>, ir::Attributes, size_t>, const Node*> seen;
  std::vector<Node> kept;
  kept.reserve(graph.nodes.size());  // `seen` points into it
  for (Node& node : graph.nodes) {
    for (ValueId& input : node.inputs) {
      if (const auto found = replacement.find(input); found != replacement.end()) input = found->second;
    }
    // A graph output keeps the node that makes it: its name is the output's. Bodies are not compared.
    const bool named = !node.bodies.empty() || std::any_of(node.outputs.begin(), node.outputs.end(), is_output);
    auto key = std::tuple(node.domain, node.op, node.inputs, node.attributes, node.outputs.size());
    const auto found = named ? seen.end() : seen.find(key);
    if (found != seen.end()) {
      for (size_t i = 0; i < node.outputs.size(); ++i) replacement.emplace(node.outputs[i], found->second->outputs[i]);
      continue;
    }
    kept.push_back(std::move(node));
    if (!named) seen.emplace(std::move(key), &kept.back());
  }
  graph.nodes = std::move(kept);
  graph.replace(replacement);  // outputs and marks
}

void remove_unused_nodes(ir::Graph& graph) {
  for (Node& node : graph.nodes) ir::rewrite_bodies(node, remove_unused_nodes);
  std::set<ValueId> used;
  for (const ir::NamedValue& output : graph.outputs) used.insert(output.value);
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool needed =
        std::any_of(node->outputs.begin(), node->outputs.end(), [&](ValueId id) { return used.contains(id); });
    if (!needed) continue;
    used.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  std::erase_if(graph.marks, [&](const ir::NamedValue& mark) { return !used.contains(mark.value); });
}

void name_nodes(ir::Graph& graph) {
  Naming(graph).run();
}

}  // namespace onnxport

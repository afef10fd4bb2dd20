// SPDX-License-Identifier: Apache-2.0
#include "core/validate/taken_branches.hpp"

#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

namespace onnxport {
namespace {

namespace pb = inspect::pb;
using Renamed = std::map<std::string, std::string>;

std::string renamed(const std::string& name, const Renamed& names) {
  const auto found = names.find(name);
  return found == names.end() ? name : found->second;
}

/// What the graph itself calls by name.
std::set<std::string> names_in(const pb::GraphProto& graph) {
  std::set<std::string> names;
  for (const auto& input : graph.input()) names.insert(input.name());
  for (const auto& weight : graph.initializer()) names.insert(weight.name());
  for (const auto& weight : graph.sparse_initializer()) names.insert(weight.values().name());
  for (const auto& node : graph.node()) names.insert(node.output().begin(), node.output().end());
  return names;
}

/// Calls what nodes take of the graphs around them otherwise; what a graph within calls by the same name is its own.
void rename_taken(google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, const Renamed& names) {
  for (pb::NodeProto& node : nodes) {
    for (std::string& input : *node.mutable_input()) input = renamed(input, names);
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      if (!attribute.has_g()) continue;
      Renamed within = names;
      for (const std::string& own : names_in(attribute.g())) within.erase(own);
      rename_taken(*attribute.mutable_g()->mutable_node(), within);
      for (auto& output : *attribute.mutable_g()->mutable_output()) output.set_name(renamed(output.name(), within));
    }
  }
}

/// The branch under names that the graph around it does not have.
void make_names_free(pb::GraphProto& branch, std::set<std::string>& used) {
  Renamed names;
  for (const std::string& own : names_in(branch)) {
    std::string free = own;
    for (int number = 2; !own.empty() && !used.insert(free).second; ++number)
      free = fmt::format("{} ({})", own, number);
    if (free != own) names.emplace(own, free);
  }
  if (names.empty()) return;
  for (auto& weight : *branch.mutable_initializer()) weight.set_name(renamed(weight.name(), names));
  for (auto& weight : *branch.mutable_sparse_initializer())
    weight.mutable_values()->set_name(renamed(weight.values().name(), names));
  rename_taken(*branch.mutable_node(), names);
  for (auto& node : *branch.mutable_node()) {
    for (std::string& output : *node.mutable_output()) output = renamed(output, names);
  }
  for (auto& output : *branch.mutable_output()) output.set_name(renamed(output.name(), names));
}

pb::GraphProto branch_of(const pb::NodeProto& choice, bool condition) {
  for (const auto& attribute : choice.attribute()) {
    if (attribute.name() == (condition ? "then_branch" : "else_branch")) return attribute.g();
  }
  return {};
}

}  // namespace

size_t take_branches(pb::GraphProto& graph, const std::function<bool(const std::string&)>& is_true) {
  std::set<std::string> used = names_in(graph);
  const google::protobuf::RepeatedPtrField<pb::NodeProto> nodes = std::move(*graph.mutable_node());
  graph.clear_node();
  size_t choices = 0;
  for (const pb::NodeProto& node : nodes) {
    if (node.op_type() != "If" || node.input_size() == 0) {
      *graph.add_node() = node;
      continue;
    }
    ++choices;
    pb::GraphProto branch = branch_of(node, is_true(node.input(0)));
    make_names_free(branch, used);
    graph.mutable_initializer()->MergeFrom(branch.initializer());
    graph.mutable_sparse_initializer()->MergeFrom(branch.sparse_initializer());
    graph.mutable_node()->MergeFrom(branch.node());
    for (int i = 0; i < node.output_size() && i < branch.output_size(); ++i) {
      if (node.output(i).empty()) continue;
      pb::NodeProto& result = *graph.add_node();
      result.set_op_type("Identity");
      result.add_input(branch.output(i).name());
      result.add_output(node.output(i));
    }
  }
  return choices;
}

}  // namespace onnxport

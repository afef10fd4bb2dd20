// SPDX-License-Identifier: Apache-2.0
#include "host/report/diff.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace onnxport {
namespace {

using Json = nlohmann::ordered_json;
using Kind = inspect::WeightChange::Kind;

constexpr size_t most_told = 8;  // of a kind; --json lists all

std::string name_of(Kind kind) {
  switch (kind) {
    case Kind::only_in_a:
      return "only in the first";
    case Kind::only_in_b:
      return "only in the second";
    case Kind::renamed:
      return "another name";
    case Kind::transposed:
      return "transposed";
    case Kind::type:
      return "another type";
    case Kind::shape:
      return "another shape";
    case Kind::values:
      return "other values";
    case Kind::unreadable:
      return "not readable";
  }
  return {};
}

std::string told(const inspect::WeightChange& change) {
  std::string text = change.a.empty() ? change.b : change.a;
  if (!change.a.empty() && !change.b.empty() && change.a != change.b) text += " -> " + change.b;
  if (!change.text.empty()) text += ", " + change.text;
  if (change.kind == Kind::values && change.difference > 0) text += fmt::format(", by up to {:.3g}", change.difference);
  return text;
}

void print_changes(const char* title, const std::vector<inspect::Change>& changes, Console& console) {
  for (size_t i = 0; i < changes.size(); ++i) {
    const inspect::Change& change = changes[i];
    const auto side = [](const std::string& text) { return text.empty() ? std::string("-") : text; };
    console.line(
        fmt::format("{:<10} {:<24} {} -> {}", i == 0 ? title : "", change.name, side(change.a), side(change.b)));
  }
}

void print_weights(const inspect::ModelDiff& diff, Console& console) {
  console.line(fmt::format("weights    {} are the same, byte by byte", diff.equal_weights));
  std::map<std::string, std::vector<std::string>> by_kind;
  for (const inspect::WeightChange& change : diff.weights) by_kind[name_of(change.kind)].push_back(told(change));
  for (const auto& [kind, names] : by_kind) {
    console.line(fmt::format("  {} ({})", kind, names.size()));
    for (size_t i = 0; i < std::min(most_told, names.size()); ++i) console.line("    " + names[i]);
    if (names.size() > most_told)
      console.line(fmt::format("    and {} more (--json lists them)", names.size() - most_told));
  }
}

Json list_of(const std::vector<inspect::Change>& changes) {
  Json list = Json::array();
  for (const inspect::Change& change : changes)
    list.push_back({{"name", change.name}, {"a", change.a}, {"b", change.b}});
  return list;
}

}  // namespace

void print_text(const inspect::ModelDiff& diff, Console& console) {
  print_changes("file", diff.header, console);
  print_changes("inputs", diff.inputs, console);
  print_changes("outputs", diff.outputs, console);
  print_changes("metadata", diff.metadata, console);
  print_weights(diff, console);
  console.line(
      fmt::format("graph      {} nodes compute the same from the same; {} only in the first, {} only in the second",
                  diff.equal_nodes, diff.nodes_only_in_a, diff.nodes_only_in_b));
  print_changes("operators", diff.operators, console);
  for (size_t i = 0; i < std::min(most_told, diff.partings.size()); ++i) {
    const inspect::Parting& parting = diff.partings[i];
    console.line(fmt::format("{:<10} {} {} ({})", i == 0 ? "they part" : "", parting.op, parting.node,
                             parting.in_a ? "first" : "second"));
  }
  if (diff.partings.size() > most_told)
    console.line(fmt::format("           and {} more places (--json lists them)", diff.partings.size() - most_told));
  if (!diff.changed_outputs.empty())
    console.line(fmt::format("computed otherwise: {}", fmt::join(diff.changed_outputs, ", ")));
}

void fill_json(const inspect::ModelDiff& diff, Json& json) {
  json["same"] = diff.same();
  json["same_function"] = diff.same_function();
  json["file"] = list_of(diff.header);
  json["inputs"] = list_of(diff.inputs);
  json["outputs"] = list_of(diff.outputs);
  json["metadata"] = list_of(diff.metadata);
  json["operators"] = list_of(diff.operators);
  json["equal_weights"] = diff.equal_weights;
  json["weights"] = Json::array();
  for (const inspect::WeightChange& change : diff.weights) {
    json["weights"].push_back({{"kind", name_of(change.kind)},
                               {"a", change.a},
                               {"b", change.b},
                               {"text", change.text},
                               {"max_difference", change.difference}});
  }
  json["nodes"] = {
      {"equal", diff.equal_nodes}, {"only_in_a", diff.nodes_only_in_a}, {"only_in_b", diff.nodes_only_in_b}};
  json["partings"] = Json::array();
  for (const inspect::Parting& parting : diff.partings) {
    json["partings"].push_back({{"in", parting.in_a ? "a" : "b"},
                                {"operator", parting.op},
                                {"node", parting.node},
                                {"module", parting.module}});
  }
  json["changed_outputs"] = diff.changed_outputs;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "host/validation/module_steps.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/inspect/module_path.hpp"
#include "core/validate/cuts.hpp"

namespace onnxport {
namespace {

/// By module or mark: the node that makes it. What a module yields is made by the last of the nodes within whose
/// results are taken outside.
class StepEnds {
 public:
  StepEnds(const ir::Graph& graph, std::vector<ir::NamedValue> marks)
      : graph_(graph), marks_(std::move(marks)), takers_(graph.values.size()) {
    for (const ir::Node& node : graph.nodes) {
      for (ir::ValueId input : node.inputs) {
        if (input != ir::absent) takers_[input].push_back(&node.scope);
      }
    }
    for (const ir::NamedValue& output : graph.outputs) takers_[output.value].push_back(&everything_);
  }

  std::optional<size_t> of(const std::string& step) const {
    for (const ir::NamedValue& mark : marks_) {
      if (mark.name == step) return maker_of(mark.value);
    }
    if (const std::optional<size_t> end = of_module(step)) return end;
    // Whoever traces a model often puts it into a module of his own.
    const size_t dot = step.find('.');
    return dot == std::string::npos ? std::nullopt : of_module(step.substr(dot + 1));
  }

  std::optional<size_t> of_module(const std::string& module) const {
    for (size_t i = graph_.nodes.size(); i-- > 0;) {
      const ir::Node& node = graph_.nodes[i];
      if (!inspect::is_within(node.scope, module) || node.outputs[0] == ir::absent) continue;
      const auto& takers = takers_[node.outputs[0]];
      if (std::any_of(takers.begin(), takers.end(),
                      [&](const auto* scope) { return !inspect::is_within(*scope, module); }))
        return i;
    }
    return std::nullopt;
  }

 private:
  std::optional<size_t> maker_of(ir::ValueId value) const {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (graph_.nodes[i].outputs[0] == value) return i;
    }
    return std::nullopt;
  }

  const ir::Graph& graph_;
  const std::vector<ir::NamedValue> marks_;
  std::vector<std::vector<const std::string*>> takers_;
  const std::string everything_;
};

/// The last result of each, those furthest inside first: modules in each other may end in one value, and the innermost
/// tells where it is.
std::vector<ModuleResult> innermost_first(std::vector<ModuleResult> results) {
  std::map<std::string, size_t> last;
  for (size_t i = 0; i < results.size(); ++i) last[results[i].module] = i;
  std::vector<ModuleResult> kept;
  for (size_t i = 0; i < results.size(); ++i) {
    if (last.at(results[i].module) == i) kept.push_back(std::move(results[i]));
  }
  const auto depth = [](const ModuleResult& result) {
    return std::count(result.module.begin(), result.module.end(), '.');
  };
  std::stable_sort(kept.begin(), kept.end(),
                   [&](const ModuleResult& a, const ModuleResult& b) { return depth(a) > depth(b); });
  return kept;
}

}  // namespace

std::vector<StepDifference> compare_modules(const ModuleComparison& compared, std::vector<ModuleResult> of_original) {
  const ir::Graph definition = with_marks(compared.definition.graph);
  const StepEnds ends(definition, compared.definition.graph.marks);
  std::vector<NamedStep> steps;
  Tensors expected;
  for (ModuleResult& result : innermost_first(std::move(of_original))) {
    const std::optional<size_t> end = ends.of(result.module);
    if (!end) continue;
    const std::string mark = carried_name(definition.nodes[*end].outputs[0]);
    if (expected.emplace(mark, std::move(result.value)).second) steps.push_back({*end, mark});
  }
  std::sort(steps.begin(), steps.end(), [](const NamedStep& a, const NamedStep& b) { return a.node < b.node; });
  const Tensors actual =
      load_backend("reference").load_graph(definition)->run(compared.inputs, marks_of(definition, steps));
  // What a module yields may be another part of its work here and there.
  std::erase_if(steps,
                [&](const NamedStep& step) { return actual.at(step.name).shape != expected.at(step.name).shape; });
  return step_differences(definition, steps, expected, actual, compared.tolerance);
}

std::vector<NamedStep> module_ends(const ir::Graph& marked) {
  const StepEnds ends(marked, {});
  std::set<std::string> modules;
  for (const ir::Node& node : marked.nodes) modules.insert(node.scope);
  std::set<size_t> nodes;
  for (const std::string& module : modules) {
    if (const std::optional<size_t> end = ends.of_module(module); end && !module.empty()) nodes.insert(*end);
  }
  std::vector<NamedStep> steps;
  for (size_t node : nodes) steps.push_back({node, carried_name(marked.nodes[node].outputs[0])});
  return steps;
}

void tell_departure(const std::vector<StepDifference>& steps, ValidationReport& report) {
  const StepDifference* first = first_departure(steps);
  report.first_departure = first ? describe(*first)
                                 : "no module of the definition, of those that the original has too; what is done "
                                   "between them does";
  // What is done between two modules, as an attention's scores are, shows in the one behind.
  if (first && first != steps.data()) *report.first_departure += "; " + (first - 1)->name() + " before it agrees";
  for (const StepDifference* step : growth(steps)) report.steps.push_back(*step);
}

}  // namespace onnxport

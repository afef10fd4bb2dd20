// SPDX-License-Identifier: Apache-2.0
#include "host/validation/range_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/edit_distance.hpp"
#include "core/error.hpp"
#include "core/validate/activations.hpp"
#include "host/validation/calibration.hpp"

namespace onnxport {
namespace {

constexpr double margin = 4;

/// All paths of modules, and the names within them.
std::set<std::string> module_names(const std::vector<Definition>& definitions) {
  std::set<std::string> names;
  for (const Definition& definition : definitions) {
    for (const ir::Node& node : definition.graph.nodes) {
      names.insert(node.scope);
      names.insert(node.scope.substr(node.scope.rfind('.') + 1));
    }
  }
  return names;
}

}  // namespace

void add_calibration(ExportToValidate& exported, const std::filesystem::path& file) {
  const bool is_16_bit = exported.form.dtype != ir::DType::f32;
  if (file.empty() && !is_16_bit) return;
  const CalibratedModel model{exported.config,   exported.model_config,      exported.preprocessor,
                              *exported.weights, exported.form.inputs.fixed, exported.form.inputs.max_sequence};
  const Calibration given = file.empty() ? Calibration{} : read_calibration(file);
  std::vector<std::string> parts;
  for (const GraphToExport& graph : exported.graphs) {
    for (const Definition* definition : graph.definitions) parts.push_back(definition->part);
  }
  require_taken(model, given, parts);
  for (const GraphToExport& graph : exported.graphs) {
    for (const Definition* definition : graph.definitions) {
      std::vector<ValidationInputs> sets = calibration_inputs(model, given, definition->part);
      for (ValidationInputs& set : sets) set.activations = activation_bytes(definition->graph, set.inputs);
      exported.calibration.emplace(definition, std::move(sets));
    }
  }
}

ExportRanges::ExportRanges(const ExportToValidate& exported) {
  const GraphForm& form = exported.form;
  for (const GraphToExport& graph : exported.graphs) {
    for (const Definition* definition : graph.definitions) {
      graphs_.push_back(std::make_unique<Ranges>(NarrowForm{
          .definition = definition->graph,
          .precision = {.dtype = form.dtype, .keep_in_fp32 = kept_in(*definition, form), .opset = form.opset},
          .patches = patches_of(exported.config),
          .weights_as_stored = form.weights_as_stored}));
      for (const ValidationInputs& set : exported.calibration.at(definition)) graphs_.back()->look_at(set.inputs);
    }
  }
}

std::vector<ModuleRange> ExportRanges::keep(KeptModules& kept) const {
  std::vector<const Ranges*> graphs;
  for (const auto& graph : graphs_) graphs.push_back(graph.get());
  return keep_in_range(graphs, kept_limit(), kept);
}

std::vector<ModuleRange> ExportRanges::overflows(const KeptModules& kept) const {
  std::vector<ModuleRange> found;
  for (const auto& graph : graphs_) {
    for (ModuleRange& range : graph->beyond(largest_f16, kept)) {
      const bool is_known = std::any_of(found.begin(), found.end(),
                                        [&](const ModuleRange& other) { return other.module == range.module; });
      if (!is_known) found.push_back(std::move(range));
    }
  }
  return found;
}

double kept_limit() {
  return largest_f16 / margin;
}

void require_modules(const KeptModules& kept, const std::vector<Definition>& definitions) {
  if (kept.empty()) return;
  const std::set<std::string> names = module_names(definitions);
  const auto require = [&](const KeptModules& one, const std::string& word, const std::string& name) {
    if (std::any_of(names.begin(), names.end(), [&](const std::string& path) { return one.holds(path); })) return;
    const auto nearest = std::min_element(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
      return edit_distance(a, name) < edit_distance(b, name);
    });
    throw Error(Failure::usage, fmt::format("--keep-fp32 {}: the model has no such module", word),
                nearest == names.end() ? "leave the option out" : fmt::format("the nearest is called '{}'", *nearest));
  };
  for (const std::string& part : kept.parts) require({.parts = {part}}, part, part);
  for (const std::string& path : kept.alone) require({.alone = {path}}, "=" + path, path);
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "host/validation/script_judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/error.hpp"
#include "core/validate/file_inputs.hpp"
#include "core/validate/padding.hpp"
#include "host/validation/module_steps.hpp"

namespace onnxport {
namespace {

std::vector<std::string> names_of(const std::vector<ir::NamedValue>& values) {
  std::vector<std::string> names;
  for (const ir::NamedValue& value : values) names.push_back(value.name);
  return names;
}

/// Those of the file of names that a graph has.
std::map<std::string, std::string> known_among(const std::map<std::string, std::string>& pairs,
                                               const std::vector<std::string>& names) {
  std::map<std::string, std::string> known = pairs;
  std::erase_if(known,
                [&](const auto& pair) { return std::find(names.begin(), names.end(), pair.first) == names.end(); });
  return known;
}

/// Throws Error(usage) where a name of the file of names is none of the model's.
void require_known(const std::map<std::string, std::string>& pairs, const std::vector<std::string>& names) {
  for (const auto& [name, scripted] : pairs) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    throw Error(Failure::usage, fmt::format("--reference-names: the model has no '{}'", name),
                fmt::format("it has {}", fmt::join(names, ", ")));
  }
}

}  // namespace

ScriptJudge::ScriptJudge(const ScriptReference& reference, const Definition& definition)
    : definition_(definition), name_(reference.file.filename().string()) {
  ScriptFile script{reference.file, names_of(definition.graph.inputs), names_of(definition.graph.outputs)};
  script.input_names = known_among(reference.inputs, script.inputs);
  script.output_names = known_among(reference.outputs, script.outputs);
  model_ = load_backend("reference").load_script(script);
}

ScriptJudges script_judges(const std::vector<ScriptReference>& references, const std::vector<GraphToExport>& graphs) {
  std::vector<std::pair<const Definition*, std::string>> judged;
  std::vector<std::string> inputs, outputs;
  for (const GraphToExport& graph : graphs) {
    for (const Definition* definition : graph.definitions) {
      const std::vector<std::string> taken = names_of(definition->graph.inputs),
                                     made = names_of(definition->graph.outputs);
      inputs.insert(inputs.end(), taken.begin(), taken.end());
      outputs.insert(outputs.end(), made.begin(), made.end());
      judged.emplace_back(definition, definition->part.empty() ? graph.file : graph.file + ", " + definition->part);
    }
  }
  ScriptJudges judges;
  for (const ScriptReference& reference : references) {
    require_known(reference.inputs, inputs);
    require_known(reference.outputs, outputs);
    std::string refusals;
    bool is_placed = false;
    for (const auto& [definition, graph] : judged) {
      if (is_placed || judges.contains(definition)) continue;
      try {
        judges.emplace(definition, std::make_shared<ScriptJudge>(reference, *definition));
        is_placed = true;
      } catch (const Error& error) {
        if (judged.size() == 1 || error.failure() != Failure::usage) throw;
        refusals += fmt::format("\n  {}: {}", graph, error.what());
      }
    }
    if (is_placed) continue;
    throw Error(
        Failure::usage,
        fmt::format("--reference {} is the original of none of this layout's graphs:{}", reference.file.string(),
                    refusals.empty() ? " each has another judge" : refusals),
        "trace the part of the model that a graph is, with its inputs as arguments; or compare an export of one "
        "graph: --layout single");
  }
  return judges;
}

ValidationReport ScriptJudge::judge(Runnable& onnx, const std::vector<ValidationInputs>& inputs,
                                    const Tolerance& tolerance) const {
  std::vector<ValidationInputs> answered;
  std::vector<std::string> not_compared;
  std::string refusal;
  for (const ValidationInputs& set : inputs) {
    try {
      ValidationInputs& one = answered.emplace_back(set);
      one.expected =
          without_padding(cut_logits(model_->run(set.inputs, {}), set.inputs, logits_of(definition_.description)),
                          definition_, set.inputs);
    } catch (const Error& error) {
      if (error.failure() == Failure::usage) throw;
      answered.pop_back();
      refusal = error.what();
      not_compared.push_back(fmt::format("{}: {} refuses it: {}", set.label, name_, refusal));
    }
  }
  if (answered.empty())
    throw Error(Failure::usage, fmt::format("{} refuses all inputs: {}", name_, refusal),
                "make it so that it takes any batch and length, or compare recorded outputs: validate --case");
  for (const ir::NamedValue& output : definition_.graph.outputs) {
    if (!answered[0].expected->contains(output.name))
      not_compared.push_back(fmt::format("{}: {} does not have it", output.name, name_));
  }
  const std::unique_ptr<Runnable> file = unpadded(onnx, definition_);
  ValidationReport report = validate_model_outputs(nullptr, *file, answered, tolerance);
  report.judge = name_;
  report.not_compared = std::move(not_compared);
  if (!report.passes()) add_departure(report, answered, tolerance);
  return report;
}

void ScriptJudge::add_departure(ValidationReport& report, const std::vector<ValidationInputs>& inputs,
                                const Tolerance& tolerance) const {
  const auto run = std::find_if(report.runs.begin(), report.runs.end(),
                                [](const ValidationRun& one) { return !one.passes && one.problem.empty(); });
  if (run == report.runs.end()) return;
  const Tensors& given = inputs[static_cast<size_t>(run - report.runs.begin())].inputs;
  tell_departure(compare_modules({definition_, given, tolerance}, model_->module_results(given)), report);
}

}  // namespace onnxport

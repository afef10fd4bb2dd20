// SPDX-License-Identifier: Apache-2.0
#include "host/import/import_judge.hpp"

#include <fmt/format.h>

#include <set>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/inspect/onnx_file.hpp"
#include "core/validate/light_model.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// Nobody says of such a model how large its numbers are.
constexpr double usual_atol = 1e-4;

ScriptReference reference_of(const ImportPlan& plan, const ImportedScript& imported) {
  return {plan.module, {}, imported.output_keys};
}

ScriptFile script_of(const ImportPlan& plan, const ImportedScript& imported) {
  ScriptFile script{plan.module, {}, {}};
  for (const ir::NamedValue& input : imported.graph.inputs) script.inputs.push_back(input.name);
  for (const ir::NamedValue& output : imported.graph.outputs) script.outputs.push_back(output.name);
  script.output_names = imported.output_keys;
  return script;
}

/// Where the graph, which is what the module computes, does not take such inputs; empty where it does.
std::string place_in(const ImportedScript& imported, const Tensors& inputs) {
  try {
    load_backend("reference").load_graph(imported.graph)->run(inputs);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

Definition definition_of(const ImportedScript& imported) {
  Definition definition;
  definition.graph = imported.graph;
  // What stands at places that a mask hides is compared as well: the file is to do what the module does.
  for (const ir::NamedValue& input : imported.graph.inputs)
    definition.description.inputs.push_back({.name = input.name, .type = imported.graph[input.value].type});
  return definition;
}

std::vector<ValidationInputs> accepted_sets(const ImportPlan& plan, const ImportedScript& imported,
                                            const std::vector<ImportInputs>& sets, std::vector<std::string>& refused) {
  const std::unique_ptr<ScriptedModel> original = load_backend("reference").load_script(script_of(plan, imported));
  const std::string name = plan.module.filename().string();
  std::vector<ValidationInputs> accepted;
  std::map<std::string, std::string> first_refusal;  // by axis
  std::map<std::string, const ImportInputs*> refused_by_axis;
  std::set<std::string> varied;
  for (size_t i = 0; i < sets.size(); ++i) {
    try {
      original->run(sets[i].set.inputs, {});
      varied.insert(sets[i].axis);
      accepted.push_back(sets[i].set);
    } catch (const Error& error) {
      if (error.failure() == Failure::usage) throw;
      if (i < 2) {
        const std::string place = place_in(imported, sets[i].set.inputs);
        throw Error(Failure::usage,
                    fmt::format("{} refuses inputs of {}: {}{}", name, sets[i].set.label, error.what(),
                                place.empty() ? "" : "; in the graph: " + place),
                    "say of which type each argument is (--input NAME=TYPE[AXIS,…]), how long its axes may be (--size "
                    "AXIS=N), and which values whole numbers may have (--range INPUT=LOW:HIGH)");
      }
      refused.push_back(fmt::format("{}: {} refuses it: {}", sets[i].set.label, name, error.what()));
      if (first_refusal.emplace(sets[i].axis, error.what()).second) refused_by_axis[sets[i].axis] = &sets[i];
    }
  }
  for (const auto& [axis, set] : refused_by_axis) {
    if (axis.empty() || varied.contains(axis)) continue;
    const int64_t usual = sets[0].lengths.at(axis), other = set->lengths.at(axis);
    const std::string place = place_in(imported, set->set.inputs);
    throw Error(
        Failure::differs,
        fmt::format("the axis '{}' cannot change: {} takes {} and refuses {}: {}{}", axis, name, usual, other,
                    first_refusal.at(axis), place.empty() ? "" : "; in the graph: " + place),
        fmt::format("a size was written down while the module was made: make it so that it takes the size from its "
                    "inputs (x.shape); or give the axis that size in --input; or name lengths that it takes: "
                    "--size {}={},N",
                    axis, usual));
  }
  return accepted;
}

ExportValidation judge_import(const ImportPlan& plan, const ImportedScript& imported, const fs::path& file,
                              const std::vector<ValidationInputs>& sets, const Progress& progress) {
  const Definition definition = definition_of(imported);
  ExportValidation found{.tolerance = tolerance_for(usual_atol, plan.dtype, plan.atol)};
  Backend& runtime = load_backend("onnxruntime");
  FileValidation& told = found.files.emplace_back();
  told.file = file.filename().string();
  told.runtime = runtime.version();
  told.reference = load_backend("reference").version();
  const inspect::OnnxFile read = inspect::read_onnx_file(file);
  check_model_file(read);
  progress.stop_if_cancelled();
  const std::unique_ptr<Runnable> onnx = runtime.load_image(image_of(read));
  onnx->ready();
  const ScriptJudge judge(reference_of(plan, imported), definition);
  told.comparisons.push_back(judge.judge(*onnx, sets, found.tolerance));
  progress.stop_if_cancelled();
  if (plan.cases.empty()) return found;
  std::vector<ValidationInputs> recorded;
  for (const fs::path& one : plan.cases) recorded.push_back(read_case(one));
  told.comparisons.push_back(validate_model_outputs(nullptr, *onnx, recorded, found.tolerance));
  return found;
}

}  // namespace onnxport

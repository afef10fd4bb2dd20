// SPDX-License-Identifier: Apache-2.0
#include "host/validation/recorded_case.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/printable.hpp"
#include "host/validation/module_steps.hpp"

namespace onnxport {
namespace {

using TensorInfo = ModelSummary::TensorInfo;
using Lengths = std::map<std::string, int64_t>;

/// The dimension as a form over symbols; none where the file leaves it open or writes it in another way.
std::optional<ir::Dim> dimension(const std::string& text) {
  try {
    return text == "?" ? std::nullopt : std::optional(ir::Dim::parse(text));
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The number that a step's name ends in; none where it has none.
std::optional<int64_t> number_of(const std::string& step) {
  const size_t dot = step.rfind('.');
  int64_t number = 0;
  const char* const end = step.data() + step.size();
  if (dot == std::string::npos || dot + 1 == step.size()) return std::nullopt;
  const auto read = std::from_chars(step.data() + dot + 1, end, number);
  return read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

std::string type_of(const ir::Tensor& tensor) {
  return fmt::format("{}[{}]", ir::name_of(tensor.dtype), fmt::join(tensor.shape, ", "));
}

bool has_rank(const TensorInfo& declared, const ir::Tensor& tensor) {
  return !declared.dimensions || declared.dimensions->size() == tensor.shape.size();
}

/// The lengths of the axes that have a name, as the first input that has the axis gives them.
Lengths lengths_of(const std::vector<TensorInfo>& inputs, const Tensors& recorded) {
  Lengths lengths;
  for (const TensorInfo& input : inputs) {
    const auto found = recorded.find(input.name);
    if (found == recorded.end() || !input.dimensions || !has_rank(input, found->second)) continue;
    for (size_t axis = 0; axis < input.dimensions->size(); ++axis) {
      const std::optional<ir::Dim> dim = dimension((*input.dimensions)[axis]);
      const bool is_symbol = dim && *dim == ir::Dim::symbol((*input.dimensions)[axis]);
      if (is_symbol) lengths.emplace((*input.dimensions)[axis], found->second.shape[axis]);
    }
  }
  return lengths;
}

bool fits(const TensorInfo& declared, const ir::Tensor& tensor, const Lengths& lengths) {
  if (declared.element != ir::name_of(tensor.dtype) || !has_rank(declared, tensor)) return false;
  for (size_t axis = 0; declared.dimensions && axis < tensor.shape.size(); ++axis) {
    const std::optional<ir::Dim> dim = dimension((*declared.dimensions)[axis]);
    const std::optional<int64_t> length = dim ? dim->evaluate(lengths) : std::nullopt;
    if (length && *length != tensor.shape[axis]) return false;
  }
  return true;
}

/// " where batch is 2 and sequence is 8"; empty where the type names no axis.
std::string told(const TensorInfo& declared, const Lengths& lengths) {
  std::vector<std::string> axes;
  for (const std::string& text : declared.dimensions.value_or(std::vector<std::string>{})) {
    const ir::Dim dim = dimension(text).value_or(ir::Dim());
    for (const auto& term : dim.terms()) {
      const auto found = lengths.find(term.first);
      if (found != lengths.end()) axes.push_back(fmt::format("{} is {}", term.first, found->second));
    }
  }
  return axes.empty() ? "" : fmt::format(" where {}", fmt::join(axes, " and "));
}

bool contains(const std::vector<TensorInfo>& tensors, const std::string& name) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const TensorInfo& tensor) { return tensor.name == name; });
}

TensorInfo port_of(const ir::Graph& graph, const ir::NamedValue& value, const Lengths& fixed) {
  const ir::TensorType& type = graph[value.value].type;
  std::vector<std::string> dimensions;
  for (const ir::Dim& dim : type.shape) {
    const std::optional<int64_t> size = dim.evaluate(fixed);
    dimensions.push_back(size ? std::to_string(*size) : dim.to_string());
  }
  const std::string element(ir::name_of(type.dtype));
  return {value.name, fmt::format("{}[{}]", element, fmt::join(dimensions, ", ")), element, std::move(dimensions)};
}

/// What the definition's file says of itself, in the definition's words.
ModelSummary summary_of(const Definition& definition, const InputForm& form) {
  ModelSummary summary;
  const ir::Graph& graph = definition.graph;
  for (const ir::NamedValue& input : graph.inputs) summary.inputs.push_back(port_of(graph, input, form.fixed));
  for (const ir::NamedValue& output : graph.outputs) summary.outputs.push_back(port_of(graph, output, form.fixed));
  return summary;
}

/// The modules that a case file holds beside inputs and outputs.
std::vector<ModuleResult> modules_in(const std::filesystem::path& file) {
  constexpr std::string_view prefix = "module/";
  std::vector<ModuleResult> modules;
  for (StoredTensor& stored : read_safetensors(file.string())) {
    if (!stored.name.starts_with(prefix)) continue;
    std::string path = stored.name.substr(prefix.size());
    modules.push_back(
        {std::move(path), materialize(Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}})});
  }
  return modules;
}

/// The case as this definition has it. Throws Error(checkpoint) where it is none of its.
RecordedCase case_for(const Definition& definition, const std::filesystem::path& file, const InputForm& form) {
  RecordedCase one{read_case(file), modules_in(file)};
  const ModelSummary summary = summary_of(definition, form);
  // What is a step of the definition and no output of the file tells where, and not whether.
  for (const ir::NamedValue& mark : definition.graph.marks) {
    if (contains(summary.outputs, mark.name)) continue;
    const auto found = one.recorded.expected->find(mark.name);
    if (found == one.recorded.expected->end()) continue;
    one.steps.push_back({mark.name, std::move(found->second)});
    one.recorded.expected->erase(found);
  }
  one.unrecorded = check_case(one.recorded, file, summary);
  return one;
}

std::string names_of(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<std::string> check_case(const ValidationInputs& recorded, const std::filesystem::path& file,
                                    const ModelSummary& model) {
  const Lengths lengths = lengths_of(model.inputs, recorded.inputs);
  std::vector<std::string> problems;
  for (const TensorInfo& input : model.inputs) {
    const auto found = recorded.inputs.find(input.name);
    if (found == recorded.inputs.end()) {
      problems.push_back(fmt::format("in/{} is missing, {}", input.name, input.type));
    } else if (!fits(input, found->second, lengths)) {
      problems.push_back(fmt::format("in/{} is {}, expected {}{}", input.name, type_of(found->second), input.type,
                                     told(input, lengths)));
    }
  }
  for (const auto& [name, tensor] : recorded.inputs) {
    if (!contains(model.inputs, name)) problems.push_back(fmt::format("in/{}: the model has no such input", name));
  }
  for (const auto& [name, tensor] : *recorded.expected) {
    const auto output = std::find_if(model.outputs.begin(), model.outputs.end(),
                                     [&wanted = name](const TensorInfo& declared) { return declared.name == wanted; });
    if (output == model.outputs.end())
      problems.push_back(fmt::format("out/{}: the model has no such output", name));
    else if (!has_rank(*output, tensor))
      problems.push_back(fmt::format("out/{} is {}, expected {}", name, type_of(tensor), output->type));
  }
  const bool is_empty = std::all_of(recorded.expected->begin(), recorded.expected->end(),
                                    [](const auto& output) { return output.second.element_count() == 0; });
  if (is_empty) problems.emplace_back("its outputs hold no numbers, so that nothing would be compared");
  if (!problems.empty()) {
    std::string text = file.string() + " is no recording of this model:";
    for (const std::string& problem : problems) text += "\n  " + printable(problem);
    throw Error(
        Failure::checkpoint, text,
        fmt::format("its inputs are {} and its outputs {}; record the case with these, or export with the feature "
                    "and the options that the case was recorded with",
                    printable(names_of(model.inputs)), printable(names_of(model.outputs))));
  }
  std::vector<std::string> unrecorded;
  for (const TensorInfo& output : model.outputs) {
    if (!recorded.expected->contains(output.name)) unrecorded.push_back(output.name);
  }
  return unrecorded;
}

RecordedCases recorded_cases(const std::vector<std::filesystem::path>& files, const CaseTakers& takers) {
  RecordedCases cases;
  for (const std::filesystem::path& file : files) {
    std::vector<std::pair<std::string, Error>> refusals;
    bool is_placed = false;
    for (const GraphToExport& graph : takers.graphs) {
      for (const Definition* definition : graph.definitions) {
        if (is_placed) continue;
        try {
          cases[definition].push_back(case_for(*definition, file, takers.form));
          is_placed = true;
        } catch (const Error& error) {
          if (error.failure() != Failure::checkpoint) throw;
          refusals.emplace_back(definition->part.empty() ? graph.file : graph.file + ", " + definition->part, error);
        }
      }
    }
    if (is_placed) continue;
    if (refusals.size() == 1) throw refusals[0].second;
    std::string text = file.string() + " is no recording of any of this layout's graphs:";
    for (const auto& [graph, refusal] : refusals) text += fmt::format("\n{}: {}", graph, refusal.what());
    throw Error(Failure::checkpoint, text, "record a case of one of the graphs, with its inputs and outputs");
  }
  std::erase_if(cases, [](const auto& of_definition) { return of_definition.second.empty(); });
  return cases;
}

ValidationReport judge_by_cases(const std::vector<RecordedCase>& cases, Runnable& onnx, const Definition& definition,
                                const Tolerance& tolerance) {
  std::vector<ValidationInputs> inputs;
  for (const RecordedCase& one : cases) inputs.push_back(one.recorded);
  ValidationReport report = validate_model_outputs(nullptr, onnx, inputs, tolerance);
  report.judge = recorded_judge;
  for (const RecordedCase& one : cases) {
    if (!one.unrecorded.empty())
      report.not_compared.push_back(
          fmt::format("{} does not record {}", one.recorded.label, fmt::join(one.unrecorded, ", ")));
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    if (report.runs[i].passes || !report.runs[i].problem.empty()) continue;
    report.departure_run = report.runs[i].label;
    if (!cases[i].steps.empty()) {
      tell_departure(compare_modules({definition, cases[i].recorded.inputs, tolerance}, cases[i].steps), report);
    } else if (std::string place = where_it_begins({report.runs[i]}); !place.empty()) {
      report.first_departure = std::move(place);
    }
    break;
  }
  return report;
}

std::string where_it_begins(const std::vector<ValidationRun>& runs) {
  std::optional<std::pair<int64_t, std::string>> first;
  for (const ValidationRun& run : runs) {
    for (const Difference& difference : run.differences) {
      const auto number = number_of(difference.output);
      if (difference.passes || !number || difference.output.starts_with("present")) continue;
      const std::pair<int64_t, std::string> step{*number, difference.output};
      if (!first || step < *first) first = step;
    }
  }
  if (!first) return {};
  const auto& [number, step] = *first;
  const std::string before = fmt::format("{}{}", step.substr(0, step.rfind('.') + 1), number - 1);
  const bool is_recorded = std::any_of(runs.begin(), runs.end(), [&](const ValidationRun& run) {
    return std::any_of(run.differences.begin(), run.differences.end(),
                       [&](const Difference& difference) { return difference.output == before; });
  });
  return is_recorded ? fmt::format("it begins between {}, which agrees, and {}", before, step)
                     : fmt::format("it begins at or before {}, the first recorded step", step);
}

}  // namespace onnxport

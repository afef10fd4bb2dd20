// SPDX-License-Identifier: Apache-2.0
#include "host/validation/recorded_case.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "core/printable.hpp"

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
    if (!contains(model.outputs, name)) problems.push_back(fmt::format("out/{}: the model has no such output", name));
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

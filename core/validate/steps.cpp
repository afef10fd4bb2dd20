// SPDX-License-Identifier: Apache-2.0
#include "core/validate/steps.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "core/backend/backend.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/validate/cuts.hpp"
#include "core/validate/file_inputs.hpp"
#include "core/validate/light_model.hpp"

namespace onnxport {
namespace {

constexpr size_t shown_values = 4;

/// The file's model again with the results of these steps as outputs.
ModelImage with_outputs(const inspect::OnnxFile& file, const ir::Graph& lowered, const std::vector<NamedStep>& steps) {
  pb::ModelProto model = file.model;
  std::set<std::string> made, declared, wanted;
  for (const NamedStep& step : steps) wanted.insert(step.name);
  for (const auto& node : model.graph().node()) made.insert(node.output().begin(), node.output().end());
  for (const auto& output : model.graph().output()) declared.insert(output.name());
  for (const ir::NamedValue& mark : lowered.marks) {
    const ir::Value& value = lowered[mark.value];
    if (!wanted.contains(value.name) || !made.contains(value.name) || !declared.insert(value.name).second) continue;
    pb::ValueInfoProto& info = *model.mutable_graph()->add_output();
    info.set_name(value.name);
    info.mutable_type()->mutable_tensor_type()->set_elem_type(static_cast<int32_t>(value.type.dtype));
  }
  return image_of(file, std::move(model));
}

/// "encoder.layer.3" of "encoder.layer.3.attention.self"; the whole path where it has no number.
std::string block_of(const std::string& module) {
  for (size_t begin = 0; begin < module.size();) {
    const size_t end = std::min(module.find('.', begin), module.size());
    const std::string part = module.substr(begin, end - begin);
    if (std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
      return module.substr(0, end);
    begin = end + 1;
  }
  return module;
}

}  // namespace

std::vector<NamedStep> steps_of(const TracedLowering& both, size_t first, size_t last) {
  std::vector<NamedStep> steps;
  for (size_t i = first; i < last; ++i) {
    const std::string& name = both.names[both.definition.nodes[i].outputs[0]];
    if (!name.empty()) steps.push_back({i, name});
  }
  return steps;
}

std::vector<StepDifference> compare_steps(const OnnxConfig& config, const Definition& definition,
                                          const WrittenModel& written, const Tensors& inputs,
                                          const Tolerance& tolerance) {
  const TracedLowering both = trace_lowering(config, definition, written.form);
  std::vector<NamedStep> steps = steps_of(both, 0, both.definition.nodes.size());
  const auto onnx = as_defined(
      load_backend("onnxruntime").load_image(with_outputs(inspect::read_onnx_file(written.file), both.lowered, steps)),
      written.form.inputs, growing_states(definition.description));
  const auto reference = load_backend("reference").load_graph(both.definition);
  const Tensors actual = onnx->run(inputs);
  std::erase_if(steps, [&](const NamedStep& step) { return !actual.contains(step.name); });
  return step_differences(both.definition, steps, reference->run(inputs, marks_of(both.definition, steps)), actual,
                          tolerance);
}

std::vector<std::string> marks_of(const ir::Graph& definition, const std::vector<NamedStep>& steps) {
  std::vector<std::string> marks;
  for (const NamedStep& step : steps) marks.push_back(carried_name(definition.nodes[step.node].outputs[0]));
  return marks;
}

std::vector<StepDifference> step_differences(const ir::Graph& definition, const std::vector<NamedStep>& steps,
                                             const Tensors& expected, const Tensors& actual,
                                             const Tolerance& tolerance) {
  std::vector<StepDifference> differences;
  for (const NamedStep& named : steps) {
    const ir::Node& node = definition.nodes[named.node];
    const std::string mark = carried_name(node.outputs[0]);
    const ir::Tensor &want = expected.at(mark), &got = actual.at(named.name);
    StepDifference& step = differences.emplace_back();
    step.module = node.scope;
    step.op = node.op;
    step.shape = want.shape;
    step.difference = compare({{mark, want}}, {{mark, got}}, tolerance)[0];
    if (!step.difference.passes) step.values = differing_values(want, got, tolerance, shown_values);
  }
  return differences;
}

const StepDifference* first_departure(const std::vector<StepDifference>& steps) {
  const auto first = [&](auto is) {
    const auto found = std::find_if(steps.begin(), steps.end(), is);
    return found == steps.end() ? nullptr : &*found;
  };
  if (const StepDifference* step = first([](const StepDifference& s) { return s.departs(); })) return step;
  return first([](const StepDifference& s) { return !s.difference.finite; });
}

std::string describe(const StepDifference& step) {
  const Difference& found = step.difference;
  std::string text = fmt::format("{} [{}]: {}", step.name(), fmt::join(step.shape, ", "),
                                 found.problem.empty() ? fmt::format("differs by {:.3g}", found.max_abs)
                                                       : "holds what it should not: " + found.problem);
  std::vector<std::string> values;
  for (const DifferingValue& value : step.values)
    values.push_back(
        fmt::format("[{}] is {:.6g} and not {:.6g}", fmt::join(value.index, ", "), value.actual, value.expected));
  if (!values.empty())
    text += fmt::format(" ({} of {} elements; {})", found.mismatches, found.elements, fmt::join(values, ", "));
  return text;
}

std::vector<const StepDifference*> growth(const std::vector<StepDifference>& steps) {
  const StepDifference* first = first_departure(steps);
  std::vector<const StepDifference*> last;
  if (first == nullptr) return last;
  for (const StepDifference& step : steps) {
    if (&step < first) continue;
    if (!last.empty() && block_of(last.back()->module) == block_of(step.module))
      last.back() = &step;
    else
      last.push_back(&step);
  }
  return last;
}

std::optional<std::string> first_departure(const OnnxConfig& config, const Definition& definition,
                                           const WrittenModel& written, const Tensors& inputs,
                                           const Tolerance& tolerance) {
  const std::vector<StepDifference> steps = compare_steps(config, definition, written, inputs, tolerance);
  const StepDifference* step = first_departure(steps);
  return step == nullptr ? std::nullopt : std::optional(describe(*step));
}

}  // namespace onnxport

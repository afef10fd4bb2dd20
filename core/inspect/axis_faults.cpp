// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/axis_faults.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace onnxport::inspect {
namespace {

using Weight = Finding::Weight;

constexpr const char* bodied[] = {"If", "Loop", "Scan"};

/// The axes of one input that the file leaves open, at lengths of which no two are equal.
ir::Lengths uneven_lengths(const SizableModel& model, int64_t first) {
  ir::Lengths lengths;
  for (const OpenAxis& axis : model.axes()) {
    lengths[axis.name] = axis.only.value_or(first);
    first += 2;
  }
  return lengths;
}

/// Lengths of which no two are equal, and all are multiples of one number.
ir::Lengths round_lengths(const SizableModel& model, int64_t step) {
  ir::Lengths lengths;
  int64_t length = 0;
  for (const OpenAxis& axis : model.axes()) lengths[axis.name] = axis.only.value_or(length += step);
  return lengths;
}

/// What the graph makes of one set of lengths.
struct Trial {
  ir::Lengths lengths;
  SizedModel sized;
  Trial(const SizableModel& model, ir::Lengths at) : lengths(std::move(at)), sized(model.at(lengths)) {}
};

/// Whether the graph takes lengths that are multiples of something, as one of patches or of several images does, or
/// longer ones.
bool takes_round_lengths(const SizableModel& model) {
  constexpr int64_t steps[] = {8, 96, 448, 960};
  return std::any_of(std::begin(steps), std::end(steps),
                     [&](int64_t step) { return Trial(model, round_lengths(model, step)).sized.problems.empty(); });
}

std::string told(const ir::Lengths& lengths) {
  std::string text;
  for (const auto& [axis, length] : lengths) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", axis, length);
  return text;
}

/// Whether a problem is one of a graph within a node. Shapes of the graph around it are not followed there as they are
/// outside, so that files which run (optimum's merged decoders) seem to contradict themselves.
bool stands_within(const std::string& problem) {
  return std::any_of(std::begin(bodied), std::end(bodied), [&](const char* op) {
    const auto names = [&](const char* end) {
      return problem.find(fmt::format("(op_type:{}{}", op, end)) != std::string::npos;
    };
    return names(",") || names(")");
  });
}

/// Open axes of outputs that are not as long as they are declared: frozen where they stay as they are when the inputs
/// change, else declared under a wrong name.
void compare_outputs(const pb::GraphProto& graph, const Trial& a, const Trial& b, Finding& frozen, Finding& misnamed) {
  const ValueTypes types_a(a.sized.model.graph()), types_b(b.sized.model.graph());
  for (const auto& output : graph.output()) {
    const auto in_a = types_a.sizes(output.name()), in_b = types_b.sizes(output.name());
    const auto& shape = output.type().tensor_type().shape();
    if (!in_a || !in_b || static_cast<int>(in_a->size()) != shape.dim_size() || in_a->size() != in_b->size()) continue;
    for (int axis = 0; axis < shape.dim_size(); ++axis) {
      if (!shape.dim(axis).has_dim_param()) continue;
      const ir::Dim declared = ir::Dim::symbol(shape.dim(axis).dim_param());
      const auto wanted = length_of(declared, a.lengths), other = length_of(declared, b.lengths);
      const int64_t is = (*in_a)[static_cast<size_t>(axis)];
      if (!wanted || *wanted == is) continue;
      const bool stays = is == (*in_b)[static_cast<size_t>(axis)] && *wanted != *other;
      (stays ? frozen : misnamed)
          .places.push_back(fmt::format("{} of {}[{}] is {} where it should be {}", shape.dim(axis).dim_param(),
                                        output.name(), axis, is, *wanted));
    }
  }
}

}  // namespace

std::vector<Finding> axis_faults(const Subject& subject) {
  std::vector<Finding> found;
  if (!subject.sizable.axes().empty()) {
    const Trial a(subject.sizable, uneven_lengths(subject.sizable, 3)),
        b(subject.sizable, uneven_lengths(subject.sizable, 14));
    Finding frozen{"frozen-axis", Weight::error,
                   fmt::format("an axis is declared open, and the graph has another length built in (tried: {})",
                               told(a.lengths))};
    Finding misnamed{
        "output-axis", Weight::note,
        fmt::format("an output's axis is declared under a name that it does not follow (at {})", told(a.lengths))};
    Finding limited{"limited-axis", Weight::note,
                    fmt::format("the graph does not take every length of its open axes (tried: {})", told(a.lengths))};
    if (a.sized.problems.empty()) {
      compare_outputs(subject.file.model.graph(), a, b, frozen, misnamed);
    } else {
      Finding& finding = takes_round_lengths(subject.sizable) ? limited : frozen;
      if (stands_within(a.sized.problems[0])) {
        finding.weight = Weight::note;
        finding.text = fmt::format(
            "ONNX's inference contradicts itself within a branch or a loop, where it may be wrong "
            "and the graph right; `validate` tells (tried: {})",
            told(a.lengths));
      }
      for (size_t i = 0; i < std::min<size_t>(a.sized.problems.size(), 3); ++i)
        finding.places.push_back(a.sized.problems[i]);
    }
    for (const Finding& finding : {frozen, limited, misnamed}) {
      if (!finding.places.empty()) found.push_back(finding);
    }
  }
  Finding fixed{"fixed-input", Weight::note, "an input takes one shape only"};
  for (const auto& input : subject.file.model.graph().input()) {
    const auto& shape = input.type().tensor_type().shape();
    const bool is_weight = std::any_of(subject.tensors.begin(), subject.tensors.end(),
                                       [&](const StoredTensor& tensor) { return tensor.name == input.name(); });
    if (is_weight || shape.dim_size() < 2) continue;
    const bool all_fixed =
        std::all_of(shape.dim().begin(), shape.dim().end(), [](const auto& dim) { return dim.has_dim_value(); });
    if (all_fixed) fixed.places.push_back(input.name());
  }
  if (!fixed.places.empty()) found.push_back(fixed);
  return found;
}

}  // namespace onnxport::inspect

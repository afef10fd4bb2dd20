// SPDX-License-Identifier: Apache-2.0
// Where a written file departs from its definition: every step of the one beside the same of the other.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "core/validate/compare.hpp"

namespace onnxport {

struct TracedLowering;  // core/validate/cuts.hpp

/// A file and how its graph came about.
struct WrittenModel {
  std::filesystem::path file;
  GraphForm form;
};

/// One operator of the definition whose result the file has as well.
struct StepDifference {
  std::string module;  // "encoder.layer.3.attention.self"
  std::string op;      // "Attention"
  std::vector<int64_t> shape;
  Difference difference;
  std::vector<DifferingValue> values{};  // the first few that differ

  /// Whether it is wrong by itself: beyond the tolerance, or NaN on either side.
  bool departs() const { return !difference.passes || difference.has_nan; }
  /// "encoder.layer.3.attention.self (Attention)"
  std::string name() const { return module.empty() ? op : module + " (" + op + ")"; }
};

/// All steps in the order of the definition. Runs the file again with every result as an output, which takes as much
/// memory as all of them together, on either side.
std::vector<StepDifference> compare_steps(const OnnxConfig& config, const Definition& definition,
                                          const WrittenModel& written, const Tensors& inputs,
                                          const Tolerance& tolerance);

/// A node of a definition, and the value of the file that holds its first result.
struct NamedStep {
  size_t node = 0;
  std::string name;
};
/// Those of nodes in [first, last).
std::vector<NamedStep> steps_of(const TracedLowering& both, size_t first, size_t last);
/// What the reference calls their results.
std::vector<std::string> marks_of(const ir::Graph& definition, const std::vector<NamedStep>& steps);
/// The steps with what the reference and ONNX Runtime made of them. Both have all of them.
std::vector<StepDifference> step_differences(const ir::Graph& definition, const std::vector<NamedStep>& steps,
                                             const Tensors& expected, const Tensors& actual,
                                             const Tolerance& tolerance);

/// The step with which a difference begins: the first that departs, else the first that holds infinity; null where
/// there is none.
const StepDifference* first_departure(const std::vector<StepDifference>& steps);

/// That step in words: "encoder.layer.3.attention.self (Attention) f32[2, 8, 64]: differs by 0.01".
std::string describe(const StepDifference& step);

/// How a difference grows: of the steps from the first departure on, the last of each module as far as its path goes
/// to a number ("encoder.layer.3"), and the very last one.
std::vector<const StepDifference*> growth(const std::vector<StepDifference>& steps);

/// The first step of the definition whose result the written file does not reproduce, in words.
std::optional<std::string> first_departure(const OnnxConfig& config, const Definition& definition,
                                           const WrittenModel& written, const Tensors& inputs,
                                           const Tolerance& tolerance);

}  // namespace onnxport

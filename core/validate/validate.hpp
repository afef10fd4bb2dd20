// SPDX-License-Identifier: Apache-2.0
// validate_model_outputs: the written file against the reference.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "core/validate/compare.hpp"
#include "core/validate/steps.hpp"

namespace onnxport {

namespace inspect {
struct OnnxFile;  // core/inspect/onnx_file.hpp: programs that validate need no header of onnx
}

/// One set of inputs that was compared.
struct ValidationRun {
  std::string label;  // "batch 2, sequence 8, padded"
  std::vector<Difference> differences;
  bool passes = false;
  /// Why there are no differences: one of the two could not compute the model on these inputs, and could on others.
  std::string problem{};

  /// Whether the model could not be computed, or an output has another shape.
  bool fails_for_shape() const { return !shape_problem().empty(); }
  /// That in words; empty where there is none.
  std::string shape_problem() const;
};

/// One piece of a model that was compared piece by piece.
struct SegmentDifference {
  std::string from, to;  // modules of its first and last node
  uint64_t weights = 0;  // bytes in f32
  /// Over all runs the worst of what it yields: its own, where both sides are given what ONNX Runtime has yielded
  /// before it; and in all, where the reference is given its own results. `output` is the module that makes the value.
  Difference own{}, total{};
};

struct ValidationReport {
  std::vector<ValidationRun> runs;
  std::string
      judge{};  // "model.pt", with which the file was compared; empty: with the definition, or what was recorded
  std::vector<std::string> not_compared{};    // what that judge does not say, in words
  std::vector<SegmentDifference> segments{};  // none where the model was run as a whole
  /// The axis that may not change, where a run failed for its shape: "the axis sequence is frozen at 8: …".
  std::optional<std::string> frozen_axis{};
  /// The first step of the model that departs, where a run differed: "encoder.layer.3.attention.self (Attention) …".
  std::optional<std::string> first_departure;
  std::string departure_run{};  // the run in which it does; empty: the first that differs
  /// How the difference grows from there on, or all steps where these were asked for.
  std::vector<StepDifference> steps{};
  bool passes() const;
  double largest_difference() const;
};

/// Inputs with what to call them.
struct ValidationInputs {
  std::string label;
  Tensors inputs;
  std::optional<Tensors> expected;  // recorded outputs (a case file) instead of the reference
  uint64_t activations = 0;         // bytes that a run takes beside the weights (activation_bytes); 0: not known
};
/// Sets of inputs that compute no more than this run together.
inline constexpr uint64_t together_bytes = uint64_t{256} << 20;

/// Runs onnx.checker with full shape inference over the file. Throws Error(differs) with the checker's text.
void check_model_file(const std::filesystem::path& file);
/// The same for one that was read already. Weights are not read; that each is as long as its type and dimensions say is
/// looked at as well.
void check_model_file(const inspect::OnnxFile& file);

/// Evaluates every set of inputs by `reference` (where it has no recorded outputs) and by `onnx`, at the same time, and
/// compares every output. What cannot be computed on some sets, and can on others, is a run that differs; where there
/// is nothing that both compute, what they throw is thrown. Sets whose activations are stated go through the reference
/// together, as far as together_bytes hold what they compute.
ValidationReport validate_model_outputs(Runnable* reference, Runnable& onnx,
                                        const std::vector<ValidationInputs>& inputs, const Tolerance& tolerance,
                                        const std::function<void(const ValidationRun&)>& each = {});

/// A case file: tensors in/NAME and out/NAME. Throws Error(checkpoint) where it is none.
ValidationInputs read_case(const std::filesystem::path& file);

}  // namespace onnxport

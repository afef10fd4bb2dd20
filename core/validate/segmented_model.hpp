// SPDX-License-Identifier: Apache-2.0
// A file and its definition, cut at the same steps, and compared one segment after the other: what is in memory is what
// the largest segment takes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/validate/cuts.hpp"
#include "core/validate/file_segments.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

struct SegmentedModel {
  TracedLowering both;
  std::vector<Segment> segments;
  std::unique_ptr<FileSegments> file;
  InputForm form;
  std::string logits;  // the output that InputForm::kept_logits is about; empty: there is none
};

/// Cuts the two into segments whose weights take no more than so many bytes in f32, where cuts allow it. Keeps a
/// reference to the file.
SegmentedModel cut_model(TracedLowering both, const inspect::OnnxFile& file, const InputForm& form, std::string logits,
                         uint64_t most_weights);

/// The file as something to run: ONNX Runtime holds one segment at a time. Keeps the reference.
std::unique_ptr<Runnable> run_in_segments(const SegmentedModel& model);

struct SegmentedValidation {
  std::vector<ValidationInputs> inputs;
  Tolerance tolerance;
  bool traces_values = false;  // all steps of the first set, whether or not something differs
  /// Called before each segment with the bytes of weights that are done, and of all; may throw to end it all.
  std::function<void(uint64_t done, uint64_t all)> before_each{};
  /// Why the steps of a segment are not looked at of which all together take so many bytes; empty: they may be.
  std::function<std::string(uint64_t bytes)> too_little_for_steps{};
};

/// Evaluates all sets of inputs segment by segment, and compares outputs as validate_model_outputs() does: what ONNX
/// Runtime yields against what the reference makes of its own results. Beside that the reference takes what ONNX
/// Runtime has yielded before a segment, so that each segment's own difference is known; of the first that departs its
/// steps are compared.
ValidationReport validate_in_segments(const SegmentedModel& model, const SegmentedValidation& asked);

}  // namespace onnxport

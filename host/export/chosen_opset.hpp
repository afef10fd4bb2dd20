// SPDX-License-Identifier: Apache-2.0
// The opset of an export, and what the run-time that was named means for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/export/defined_graphs.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {

/// The opset that was asked for, or the model's own where what is to run the file reads it. Throws Error(usage) where
/// it does not read the one that was asked for, or needs one that the model cannot be written in.
int64_t opset_for(const ExportPlan& plan, const OnnxConfig& config);

/// What an export does for an older run-time.
struct ChosenOpset {
  std::string runtime;  // "onnxruntime=1.17"
  int64_t opset, ir_version;
  int64_t own;                       // the opset that the model would be written in
  std::vector<std::string> avoided;  // operators of that one
};

/// For a plan that names a run-time, and graphs that are written in `form`.
ChosenOpset chosen_opset(const ExportPlan& plan, const OnnxConfig& config, const DefinedGraphs& defined,
                         const GraphForm& form);

}  // namespace onnxport

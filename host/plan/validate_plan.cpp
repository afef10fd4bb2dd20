// SPDX-License-Identifier: Apache-2.0
#include "host/plan/validate_plan.hpp"

#include "core/error.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {

ValidatePlan plan_validate(const ValidateArguments& arguments) {
  const bool has_model = !arguments.model.name.empty();
  if (arguments.depth.cases.empty() && !has_model) {
    throw Error(Failure::usage, "nothing to compare with",
                arguments.depth.references.empty()
                    ? "name the model's folder (-m DIR) or recorded outputs (--case FILE.safetensors)"
                    : "name the model's folder as well (-m DIR): --reference is one more judge beside its definition");
  }
  if (!arguments.depth.budget.empty() && !has_model)
    throw Error(Failure::usage,
                "--validate says on how many inputs to compare with a definition, and --case alone has none",
                "name the model's folder as well (-m DIR), or leave --validate out");
  ValidatePlan plan;
  if (arguments.depth.trace_values && !has_model)
    throw Error(Failure::usage, "--trace-values compares steps with a definition, and --case alone has none",
                "name the model's folder as well (-m DIR)");
  plan.budget = value_of(budget_choices, arguments.depth.budget);
  plan.traces_values = arguments.depth.trace_values;
  if (arguments.depth.segment_size && !has_model)
    throw Error(Failure::usage, "--segment-size compares segments with a definition, and --case alone has none",
                "name the model's folder (-m DIR) instead of a case");
  plan.segment_size = arguments.depth.segment_size;
  if (!arguments.depth.references.empty() && !has_model)
    throw Error(Failure::usage, "--reference is one more judge of an export of a checkpoint, and --case alone has none",
                "name the model's folder as well (-m DIR)");
  plan.references = script_references(arguments.depth);
  if (!arguments.depth.calibration.empty()) {
    if (!has_model)
      throw Error(Failure::usage,
                  "--calibration gives inputs to compare with a definition on, and --case alone has none",
                  "name the model's folder as well (-m DIR), or leave --calibration out");
    require_file("--calibration", arguments.depth.calibration, calibration_hint);
    plan.calibration = arguments.depth.calibration;
  }
  plan.max_memory = arguments.max_memory;
  plan.atol = tolerance_from(arguments.atol);
  plan.plugins = arguments.plugins;
  plan.output = arguments.output;
  if (has_model) plan.model = arguments.model;
  plan.cases = arguments.depth.cases;
  plan.plugin = arguments.plugin;
  plan.feature = arguments.feature;
  require_kernels(arguments.custom_ops, arguments.plugins);
  plan.custom_ops = arguments.custom_ops;
  return plan;
}

}  // namespace onnxport

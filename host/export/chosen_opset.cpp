// SPDX-License-Identifier: Apache-2.0
#include "host/export/chosen_opset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/export/avoided_operators.hpp"
#include "core/onnx/ir_version.hpp"

namespace onnxport {

int64_t opset_for(const ExportPlan& plan, const OnnxConfig& config) {
  const int64_t own = config.default_onnx_opset();
  if (!plan.runtime) return plan.opset.value_or(own);
  const int64_t most = inspect::readable_by(*plan.runtime).opset;
  if (plan.opset && *plan.opset > most) {
    throw Error(Failure::usage,
                fmt::format("--opset {} and --runtime {}: that version reads opsets up to {}", *plan.opset,
                            inspect::to_text(*plan.runtime), most),
                fmt::format("pass --opset {} or less, or leave it out", most));
  }
  if (config.min_opset() > most) {
    throw Error(Failure::usage,
                fmt::format("--runtime {} reads opsets up to {}, and models of type '{}' need {}",
                            inspect::to_text(*plan.runtime), most, config.model_type(), config.min_opset()),
                "name a later version");
  }
  return plan.opset.value_or(std::min(own, most));
}

ChosenOpset chosen_opset(const ExportPlan& plan, const OnnxConfig& config, const DefinedGraphs& defined,
                         const GraphForm& form) {
  ChosenOpset chosen{inspect::to_text(*plan.runtime),
                     form.opset,
                     std::min(ir_version_for(form.opset), inspect::readable_by(*plan.runtime).ir_version),
                     config.default_onnx_opset(),
                     {}};
  std::set<std::string> avoided;
  for (const Definition& definition : defined.definitions) {
    if (form.opset >= chosen.own) break;
    for (std::string& name : avoided_operators(config, definition, form, chosen.own)) avoided.insert(std::move(name));
  }
  chosen.avoided.assign(avoided.begin(), avoided.end());
  return chosen;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Where a definition departs from its original: what modules of the original yielded beside what the definition's do.
#pragma once

#include <vector>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

/// A definition, and what both were given.
struct ModuleComparison {
  const Definition& definition;
  const Tensors& inputs;  // as the definition takes them
  const Tolerance& tolerance;
};

/// The definition's steps beside what the original has of them, in the definition's order: modules by their paths, of
/// one that is run several times the last result, and marks by their names ("hidden_states.3"). Runs the definition by
/// the reference. Modules that the definition does not have, or whose results have another shape there, as one that
/// does another part of the work, are left out.
std::vector<StepDifference> compare_modules(const ModuleComparison& compared, std::vector<ModuleResult> of_original);

/// What the modules of a definition yield that have nodes of their own, in the order in which they are done. `marked`:
/// with_marks() of its graph.
std::vector<NamedStep> module_ends(const ir::Graph& marked);

/// Tells the report with which of the steps the difference begins, and how it grows.
void tell_departure(const std::vector<StepDifference>& steps, ValidationReport& report);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What a model costs to run at given lengths of its axes, and by what law that grows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/sized_model.hpp"

namespace onnxport::inspect {

/// The cost of one run.
struct ModelCost {
  int64_t operations = 0;                      // floating-point; a multiply-add counts as two
  std::map<std::string, int64_t> by_operator;  // "MatMul"
  std::map<std::string, int64_t> by_module;    // "encoder.layer.0.attention"; "" where no name tells
  uint64_t activations = 0;                    // bytes alive together at most, in the file's order, without weights
  std::string activations_at;                  // the node at which they are
  std::map<std::string, size_t> unsized,
      unlisted;              // nodes that are not counted, by operator: unknown sizes, no formula
  size_t endless_loops = 0;  // whose trips only the run tells; their bodies count once
};

ModelCost cost_of(const SizedModel& model);

/// A product of powers of axes with a whole factor.
struct CostTerm {
  double factor = 0;
  std::map<std::string, int> powers;
};

/// The operations as a polynomial of the open axes, highest first: found from the counts at a lattice of lengths, and
/// proven at others. nullopt where they are none of degree three or less (lengths that are rounded down, a frozen
/// axis), where there are more than four open axes, or where nodes could not be counted.
std::optional<std::vector<CostTerm>> law_of(const SizableModel& model);

/// "2.1e9·batch·sequence + 36864·batch·sequence²"
std::string to_string(const std::vector<CostTerm>& law);

}  // namespace onnxport::inspect

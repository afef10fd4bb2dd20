// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport {

/// An axis of an input.
struct InputAxis {
  std::string input;
  size_t axis = 0;
};

/// An input and an output of a graph between which a step appends along an axis.
struct GrowingState {
  std::string past, present;
  size_t axis;
  /// Which are as long as the past and the step together (the mask of all tokens), and as the step.
  InputAxis total, step;
};

/// Lets each state be given and put out in a buffer of `places` places, of which the first hold the past. How many
/// these are is what `total` has more than `step`; what stands behind is not read and comes back as it was. The same
/// buffer may be given and taken, and then only what is new is written. Throws Error(usage) where a state is put out in
/// another form than it is given.
void preallocate_cache(ir::Graph& graph, const std::vector<GrowingState>& states, int64_t places);

}  // namespace onnxport

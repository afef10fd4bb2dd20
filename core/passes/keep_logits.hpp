// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/ir/graph.hpp"

namespace onnxport {

/// Gives the graph the input kept_logits_input (i64, no axes), in place: the output, which is over tokens along axis 1,
/// is then of the last so many, and what leads to it from the hidden states is computed of these alone. False, and the
/// graph is as it was, where no product of matrices leads token by token to the output: there is nothing to save.
bool keep_logits(ir::Graph& graph, const std::string& output);

/// The same. Throws Error(usage) where there is nothing to save.
void require_kept_logits(ir::Graph& graph, const std::string& output);

}  // namespace onnxport

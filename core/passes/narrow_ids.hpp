// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/ir/graph.hpp"

namespace onnxport {

/// Makes the inputs of i64 that have axes such of i32, in place. What takes both takes them as they are, and for the
/// rest a Cast stands behind each. Of a lowered graph.
void narrow_ids(ir::Graph& graph);

}  // namespace onnxport

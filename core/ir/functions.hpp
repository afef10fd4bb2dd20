// SPDX-License-Identifier: Apache-2.0
// Operators of a plugin's own. Such a node carries the graph that it stands for, as a body: what it yields follows from
// that, the reference evaluates it, and a file holds it as a function of the model's own.
#pragma once

#include "core/ir/operators.hpp"

namespace onnxport::ir {

/// The name of that graph among a node's bodies.
inline constexpr const char* function_body = "function";

inline bool is_function(const Node& node) {
  return node.bodies.contains(function_body);
}

/// The row of such operators, which yield what their graphs do.
const Operator& function_operator();

/// The row of a node's operator, or null where it is not known.
const Operator* operator_of(const Node& node);

}  // namespace onnxport::ir

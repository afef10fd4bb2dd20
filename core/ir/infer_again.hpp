// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "core/ir/graph.hpp"

namespace onnxport::ir {

/// Infers the types of all nodes anew, in place, after types of the graph's inputs have changed. What a body captures
/// is taken from around it; `of_body` says what becomes of the other inputs of bodies. Throws Error(usage) naming the
/// operator and its scope where it does not take what it is given then.
void infer_again(Graph& graph, const std::function<void(TensorType&)>& of_body = {});

}  // namespace onnxport::ir

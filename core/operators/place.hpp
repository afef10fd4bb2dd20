// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/ir/graph.hpp"

namespace onnxport::ir {

/// Where a node stands, for the names of lengths that only the run knows.
inline std::string place_of(const Node& node) {
  return node.scope.empty() ? "the model" : node.scope;
}

}  // namespace onnxport::ir

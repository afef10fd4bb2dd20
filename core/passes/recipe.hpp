// SPDX-License-Identifier: Apache-2.0
// What a node makes of known inputs where no transform of a weight says it.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport {

/// The node's one result of fixed shape, computed now; its inputs hold constants. nullopt where its row does not say.
std::optional<Weight> evaluated(const ir::Node& node, const std::vector<Weight>& inputs, const ir::TensorType& type);

/// The same, computed when it is read, of inputs that may lie in a checkpoint. Of these no more is in memory at a time
/// than a piece of what is summed up, or all of what is small. nullopt where that would not do, or the row does not
/// say.
std::optional<Weight> with_recipe(const ir::Node& node, const std::vector<Weight>& inputs, const ir::TensorType& type);

}  // namespace onnxport

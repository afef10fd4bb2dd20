// SPDX-License-Identifier: Apache-2.0
// Choices that are made, so that what a branch computes can be asked for as what stands outside can.
#pragma once

#include <functional>
#include <string>

#include "core/inspect/onnx_file.hpp"

namespace onnxport {

/// Puts the nodes of the branch that is taken in the place of each If of the graph; an If within it stands there then.
/// `is_true` tells of a condition, by the name of its value. Results of the branch keep their names where these are
/// free. Yields how many there were.
size_t take_branches(inspect::pb::GraphProto& graph, const std::function<bool(const std::string& condition)>& is_true);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What tells a mask, whose lowest number may be brought into the range of 16 bits, from what a model computes.
#pragma once

#include <functional>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/ir/operators.hpp"

namespace onnxport {

/// What 16 bits do to a node; nothing where its operator is somebody's own.
const ir::Precision& precision_of(const ir::Node& node);

/// By value: whether it is made of a weight or of floats that are given. A mask is made of integers, of comparisons and
/// of constants.
std::vector<bool> data_values(const ir::Graph& graph);

/// What is known of a graph's values.
struct MaskValues {
  const std::vector<bool>& is_data;
  /// Whether a value may hold a mask's number.
  std::function<bool(ir::ValueId)> is_beyond;
  /// Whether it is a constant with numbers that the type does not have.
  std::function<bool(const ir::Value&)> is_beyond_constant;
};

/// Whether a constant that the type does not have is a number of what the node computes, as in x * 1e5.
bool takes_number_beyond(const ir::Graph& graph, const ir::Node& node, const MaskValues& known);
/// Whether a node's result may hold a mask's number.
bool carries_mask(const ir::Graph& graph, const ir::Node& node, const MaskValues& known);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// --dtype: a graph that stores its weights and computes in f16 or bf16 where that is sane.
#pragma once

#include <string>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/ir/operators.hpp"
#include "core/passes/kept_modules.hpp"

namespace onnxport {

struct PrecisionOptions {
  ir::DType dtype = ir::DType::f16;  // f16 or bf16
  KeptModules keep_in_fp32;
  int64_t opset = 18;
};

/// A graph in 16 bits, and what its values are in the definition.
struct NarrowGraph {
  ir::Graph graph;
  /// By value: the one of the definition that it is, in whatever type; absent where it is none, as a mask that was
  /// brought into the type's range.
  std::vector<ir::ValueId> source;
};

/// The definition with Casts, before it is lowered: composites still say what they mean, so a norm is known as one.
///
/// - Inputs and outputs keep their types; Casts stand behind the ones and before the others.
/// - Weights are stored in the type, and what meets them is computed in it.
/// - In f32 stay: what is computed from integers and constants only (positions, rotary angles, masks) up to where it
///   meets the rest; what attention adds to its scores, and their softmax; norms that the opset has no operator for,
///   what a router makes of its input, sums, powers and exponentials; the modules to be kept.
/// - What lies beyond the type's range, such as the lowest float of a mask, becomes its lowest or largest number and
///   never an infinity, which would give NaN in a row that is masked as a whole. What computes with such a number,
///   as x * 1e5 does, stays in f32.
ir::Graph to_precision(const ir::Graph& graph, const PrecisionOptions& options);
/// The same, told value by value.
NarrowGraph narrowed(const ir::Graph& graph, const PrecisionOptions& options);

}  // namespace onnxport

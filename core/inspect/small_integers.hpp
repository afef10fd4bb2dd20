// SPDX-License-Identifier: Apache-2.0
// The integers that a graph computes shapes with: Shape, Gather, Concat, arithmetic and what else tracing exporters
// write between a value's shape and a Reshape. onnx's own data propagation follows some of these operators and not all.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/inspect/sized_model.hpp"

namespace onnxport::inspect {

/// A scalar or a list.
struct SmallIntegers {
  bool is_scalar = false;
  std::vector<int64_t> values;
};

/// Known values by name, where all that they are made of is known; lists up to some dozens.
std::map<std::string, SmallIntegers> small_integers(const pb::GraphProto& graph, const ValueTypes& types);

/// As a constant of that name, of a type of integers, booleans or floats.
pb::TensorProto tensor_of(const std::string& name, const SmallIntegers& integers, int32_t element_type);

}  // namespace onnxport::inspect

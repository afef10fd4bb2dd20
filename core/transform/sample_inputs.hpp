// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/onnx/model_proto.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Values for the inputs of a model of which nothing is known but their types, to compare two files on: whole numbers
/// are 0 or 1, which is a token, a mask and a position, and in every second set 1; others lie between -1 and 1. Axes
/// that have no size get a small one, the same for each name. Throws Error(usage) for inputs whose shape or type is not
/// one to make values for.
Tensors sample_inputs(const ModelParts& model, const std::map<std::string, int64_t>& sizes, uint64_t set);

}  // namespace onnxport

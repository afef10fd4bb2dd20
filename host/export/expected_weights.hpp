// SPDX-License-Identifier: Apache-2.0
// How large the weights of a model are, before they are there.
#pragma once

#include <cstdint>

#include "core/definition/weights.hpp"
#include "core/tensor/dtype.hpp"

namespace onnxport {

/// In f32, in bytes.
struct ExpectedWeights {
  uint64_t bytes = 0, largest = 0;
};

/// What definitions asked a source for that has no checkpoint, each tensor once.
ExpectedWeights expected_weights(const WeightSource& asked);

/// What such weights take in the type that they are written in.
uint64_t bytes_as(ir::DType dtype, uint64_t f32_bytes);

}  // namespace onnxport

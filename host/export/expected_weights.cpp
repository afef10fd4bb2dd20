// SPDX-License-Identifier: Apache-2.0
#include "host/export/expected_weights.hpp"

#include <algorithm>

#include "core/checkpoint/safetensors_writer.hpp"

namespace onnxport {

ExpectedWeights expected_weights(const WeightSource& asked) {
  ExpectedWeights expected;
  for (const auto& [name, shape] : asked.requested()) {
    const uint64_t bytes = TensorPlan{name, ir::DType::f32, shape}.bytes();
    expected.bytes += bytes;
    expected.largest = std::max(expected.largest, bytes);
  }
  return expected;
}

uint64_t bytes_as(ir::DType dtype, uint64_t f32_bytes) {
  return f32_bytes / sizeof(float) * ir::size_of(dtype);
}

}  // namespace onnxport

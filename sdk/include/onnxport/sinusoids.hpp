// SPDX-License-Identifier: Apache-2.0
// Positions as sines and cosines that are computed, not learnt: no table bounds them.
#pragma once

#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// Sines of all frequencies, then their cosines: positions: i64[..., n] -> f32[..., n, 2·frequencies].
inline Value sinusoids(const Value& positions, const std::vector<double>& frequencies) {
  Graph& g = positions.graph();
  const Value turns = unsqueeze(cast(positions, DType::f32), {-1}) *
                      g.constant<float>(DType::f32, {static_cast<int64_t>(frequencies.size())},
                                        std::vector<float>(frequencies.begin(), frequencies.end()));
  return concat({g.op("Sin", {turns}), g.op("Cos", {turns})}, -1);
}

}  // namespace onnxport::sdk

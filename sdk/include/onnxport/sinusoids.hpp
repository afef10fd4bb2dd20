// SPDX-License-Identifier: Apache-2.0
// Positions as sines and cosines that are computed, not learnt: no table bounds them.
#pragma once

#include <cmath>
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

/// Half as many frequencies as a vector is wide, from 1 down to 1/10000. Source:
/// Speech2TextSinusoidalPositionalEmbedding and its twins, transformers 4.57.
inline std::vector<double> frequencies_to_last(int64_t width) {
  std::vector<double> all;
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; ++i)
    all.push_back(std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half - 1)));
  return all;
}

}  // namespace onnxport::sdk

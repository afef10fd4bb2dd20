// SPDX-License-Identifier: Apache-2.0
// Attention with linear biases (Press, Smith and Lewis, "Train Short, Test Long"): in place of positions, a key's score
// grows with its place, in every head by a slope of its own.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <bit>
#include <cmath>
#include <vector>

#include <onnxport/layers.hpp>

namespace onnxport::sdk {

struct Alibi {
  int64_t heads;
  bool in_bf16 = false;  ///< slopes, places and their products are rounded to bfloat16, as in Falcon
  /// Places are counted among the keys that count; false: among all keys, as in MPT.
  bool along_mask = true;
};

/// Of 2ⁿ heads 2^(-8/2ⁿ) and its powers; of another number those of the next lower 2ⁿ, then every second one of 2ⁿ⁺¹.
/// Source: build_alibi_tensor of BloomModel and FalconModel, transformers 4.57, with its rounding to 32 bits.
inline std::vector<float> alibi_slopes(int64_t heads) {
  int64_t whole = 1;
  while (2 * whole <= heads) whole *= 2;
  const auto power = [](int64_t of, int64_t exponent) {
    return std::pow(static_cast<float>(std::exp2(-8.0 / static_cast<double>(of))), static_cast<float>(exponent));
  };
  std::vector<float> slopes;
  for (int64_t i = 1; i <= whole; ++i) slopes.push_back(power(whole, i));
  for (int64_t i = 1; i <= heads - whole; ++i) slopes.push_back(power(2 * whole, 2 * i - 1));
  return slopes;
}

/// slope · place: mask: i64[batch, total] -> f32[batch or 1, heads, 1, total], a bias of scores. That a query has a
/// place, too, adds the same to all its scores, which softmax does not see.
inline Value alibi(const Operand& mask, const Alibi& form) {
  Graph& g = mask.graph();
  std::vector<float> slopes = alibi_slopes(form.heads);
  if (form.in_bf16) {
    for (float& slope : slopes) slope = std::bit_cast<float>(uint32_t{detail::bf16_bits(slope)} << 16);
  }
  const auto rounded = [&](const Value& x) { return form.in_bf16 ? cast(cast(x, DType::bf16), DType::f32) : x; };
  const Value places =
      form.along_mask ? (cumulative_sum(mask, 1) - g.integer(1)) * mask : unsqueeze(range(size_of(mask, 1)), {0});
  return rounded(rounded(unsqueeze(cast(places, DType::f32), {1, 2})) *
                 g.constant<float>(DType::f32, {form.heads, 1, 1}, slopes));
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Positions as sines and cosines that are computed, not learnt: no table bounds them.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// Sines of all frequencies, then their cosines: positions: i64[..., n] -> f32[..., n, 2·frequencies].
inline Value sinusoids(const Operand& positions, const std::vector<double>& frequencies) {
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

/// Places that count what is no padding token, behind `past` of them, as sinusoids; a padding token has none.
struct CountedPlaces {
  int64_t width, padding;
  Value past{};  ///< i64 scalar; absent: 0
};
/// ids: i64[batch, n] -> f32[batch, n, width]. Source: Speech2TextSinusoidalPositionalEmbedding, transformers 4.57.
inline Value counted_sinusoids(const Scope& s, const Operand& ids, const CountedPlaces& form) {
  Graph& g = s.graph();
  g.unused((s / "weights").path());  // the table, which older releases saved
  const Value counts = cast(logical_not(equal(ids, form.padding)), DType::i64);
  const Value counted = cumulative_sum(counts, 1);
  const Value places = (form.past ? counted + form.past : counted) * counts + g.integer(form.padding);
  const Value table = sinusoids(places.in(s), frequencies_to_last(form.width));
  return (table * unsqueeze(cast(counts, DType::f32), {-1})).in(s.parent());
}

/// Sines and cosines of width/2 frequencies in turn, sine before cosine, from 1 down to 10000^(2/width - 1):
/// positions: i64[n] -> f32[n, width]. Source: SpeechT5ScaledPositionalEncoding and
/// ParakeetEncoderRelPositionalEncoding, transformers 5.24.
inline Value paired_sinusoids(const Operand& positions, int64_t width) {
  Graph& g = positions.graph();
  std::vector<float> frequencies;
  for (int64_t i = 0; i < width; i += 2)
    frequencies.push_back(static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(width))));
  const Value turns =
      unsqueeze(cast(positions, DType::f32), {1}) * g.constant<float>(DType::f32, {width / 2}, frequencies);
  const auto column = [&](const char* of) { return unsqueeze(g.op(of, {turns}), {2}); };
  return reshape(concat({column("Sin"), column("Cos")}, 2), {-1, width});
}

}  // namespace onnxport::sdk

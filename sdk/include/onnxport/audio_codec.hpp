// SPDX-License-Identifier: Apache-2.0
// What codecs of sound are made of: convolutions over signals f[batch, channels, length] that mind a signal's ends,
// an activation for waves, and quantisers, which make numbers of vectors and vectors of numbers.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/convolutions.hpp>
#include <onnxport/resampling.hpp>

namespace onnxport::sdk {

// ------------------------------------------------------------------------------------------ convolutions

/// x[..., :end, ...] of an axis, for an end that only the run knows (i64 scalar).
inline Value until(const Operand& x, int64_t axis, const Value& end) {
  Graph& g = x.graph();
  return g.op("Slice", {x, g.integers({0}), unsqueeze(end, {0})}, {{"axes", {axis}}});
}

/// Entries before and behind a signal, which are mirrored at its ends or its outermost ones: f[batch, channels, length]
/// -> the same, longer. One that is too short to be mirrored has zeros behind it while it is.
/// Source: EncodecConv1d._pad1d, transformers 4.57.
struct SignalBorder {
  int64_t before;
  Value behind;  ///< i64 scalar
  Border kind;   ///< reflect or edge
};
inline Value bordered(const Operand& x, const SignalBorder& border) {
  Graph& g = x.graph();
  const Value length = size_of(x, 2), before = g.integer(border.before), last = length - g.integer(1);
  const Value places = range(before + length + border.behind) - before;
  if (border.kind == Border::edge) return gather(x, g.op("Max", {g.op("Min", {places, last}), g.integer(0)}), 2);
  const Value turn = g.op("Max", {last, g.op("Max", {border.behind, before})});  // the last place, zeros included
  const Value there = g.op("Abs", {places}), back = turn - g.op("Abs", {turn - there});
  return gather(pad(x, {Pad{2, 0, 1}}), g.op("Min", {back, length}), 2);
}

struct BorderedConvOptions {
  int64_t out;
  int64_t kernel = 1, stride = 1, dilation = 1;
  bool bias = true;
  bool causal = true;                ///< all that is put to the signal stands before it
  Border border = Border::constant;  ///< what that is
  Value weight{};                    ///< where it is not the module's tensor
};
/// A convolution that yields an entry for each `stride` of the signal, the last of which may be incomplete:
/// f[batch, in, length] -> f[batch, out, ⌈length/stride⌉]. Weights: those of conv1d.
/// Source: EncodecConv1d and MimiConv1d, transformers 4.57 and 5.24.
inline Value bordered_conv1d(const Scope& scope, const Operand& x, const BorderedConvOptions& options) {
  Graph& g = scope.graph();
  const int64_t added = (options.kernel - 1) * options.dilation + 1 - options.stride;
  const int64_t behind = options.causal ? 0 : added / 2, before = added - behind;
  Conv1dOptions conv{.out = options.out,
                     .kernel = options.kernel,
                     .stride = options.stride,
                     .dilation = options.dilation,
                     .bias = options.bias,
                     .in = x.fixed(1),
                     .weight = options.weight};
  if (options.border == Border::constant) {
    // Zeros beyond the last place that a kernel reaches change nothing.
    conv.padding = before;
    conv.padding_behind = behind + options.stride - 1;
    return conv1d(scope, x, conv);
  }
  if (added == 0 && options.stride == 1) return conv1d(scope, x, conv);
  Value lacking = g.integer(behind);
  if (options.stride > 1) lacking = missing_to_multiple(size_of(x, 2), options.stride) + lacking;
  return conv1d(scope, bordered(x, {before, lacking, options.border}), conv);
}

/// The share of a transposed convolution's result that is cut off behind, and the rest before; they fill what a kernel
/// that is longer than its stride adds.
struct Cut {
  int64_t before, behind;
};
/// `at_end`: the share that is cut behind in a causal one, which counts nowhere else.
/// Source: EncodecConvTranspose1d.forward, transformers 4.57.
inline Cut cut_of(int64_t added, bool causal, double at_end) {
  const int64_t behind = causal ? static_cast<int64_t>(std::ceil(static_cast<double>(added) * at_end)) : added / 2;
  return {added - behind, behind};
}
inline Value without(const Operand& x, const Cut& cut) {
  if (cut.before == 0 && cut.behind == 0) return x;
  return slice(x, {2, cut.before, cut.behind == 0 ? to_end : -cut.behind});
}

// -------------------------------------------------------------------------------------------- activation

/// x + sin²(α·x)/α, with a learnt α for each channel: f[batch, channels, length] -> the same. Weight: alpha
/// f[1, channels, 1]. Source: Snake1d, DacModel, transformers 4.57.
inline Value snake(const Scope& scope, const Operand& x) {
  const Value alpha = scope.weight("alpha", {1, x.fixed(1), 1});
  const Value wave = scope.op("Sin", {alpha * x});
  return (x + wave * wave / (alpha + 1e-9)).in(scope.parent());
}

// -------------------------------------------------------------------------------------------- quantisers

/// The number of the entry that lies next to each vector: x: f[..., width], entries: f[n, width] -> i64[...].
inline Value nearest(const Operand& x, const Value& entries) {
  const Value scores = 2.0 * matmul(x, transpose(entries, {1, 0})) - sum(entries * entries, {1});
  return x.graph().op("ArgMax", {scores}, {{"axis", -1}, {"keepdims", 0}});
}

/// What each of several quantisers says of what those before it have left over: x: f[batch, n, width], an f[size,
/// width] for each -> i64[batch, quantisers, n]. Source: EncodecResidualVectorQuantizer.encode, transformers 4.57.
inline Value residual_codes(Value x, const std::vector<Value>& codebooks) {
  std::vector<Value> codes;
  for (const Value& entries : codebooks) {
    const Value chosen = nearest(x, entries);
    codes.push_back(unsqueeze(chosen, {1}));
    if (codes.size() < codebooks.size()) x = x - gather(entries, chosen);
  }
  return concat(codes, 1);
}

/// The entries that each quantiser's codes name: codes: i64[batch, m, n], an f[size, width] for each of at least m
/// -> f[batch, m, n, width].
inline Value entries_of(const Operand& codes, const std::vector<Value>& codebooks) {
  Graph& g = codes.graph();
  const int64_t size = codebooks.at(0).fixed(0), width = codebooks.at(0).fixed(1);
  const Value all = reshape(g.composite("Stack", codebooks), {-1, width});
  const Value first = unsqueeze(range(size_of(codes, 1)) * g.integer(size), {1});
  return gather(all, codes + first);
}

}  // namespace onnxport::sdk

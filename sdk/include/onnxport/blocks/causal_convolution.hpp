// SPDX-License-Identifier: Apache-2.0
// A convolution over time in which a token sees itself and those just before it, each channel by itself. Its last
// inputs are a state of the cache, so that a step goes on where the one before it ended.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>

#include <onnxport/convolutions.hpp>
#include <onnxport/layers.hpp>
#include <onnxport/with_past.hpp>

namespace onnxport::sdk {

struct CausalConvolution {
  int64_t channels, kernel;
  bool bias = true;
  std::string activation{};  ///< of what comes out; empty: none
};

/// The state of it as a part of a layer: f[batch, channels, kernel], the last inputs, of which the oldest is no longer
/// seen. Zeros in a first step.
inline State state_of(const CausalConvolution& form, int64_t layer) {
  return remembered("conv", layer, {axis::batch, form.channels, form.kernel});
}

/// x: f[batch, n, channels] -> the same. Weights: weight f[channels, 1, kernel], bias f[channels]. What is padded must
/// be 0 in x. Source: causal_conv1d_fn and causal_conv1d_update of Mamba2Mixer, transformers 5.24.
inline Value causal_convolution(const Scope& scope, const Operand& x, const CausalConvolution& form, Cache& cache,
                                int64_t layer) {
  const std::string name = state_of(form, layer).name;
  const Value past = cache.past(name), fresh = transpose(x, {0, 2, 1});
  Value seen = fresh;
  if (past) {
    const Value all = concat({past, fresh}, 2);
    cache.replace(name, slice(all, {2, -form.kernel}));
    seen = slice(all, {2, 1});
  }
  const Value y = conv1d(scope, seen,
                         {.out = form.channels,
                          .kernel = form.kernel,
                          .padding = past ? 0 : form.kernel - 1,
                          .padding_behind = 0,
                          .groups = form.channels,
                          .bias = form.bias});
  const Value mixed = transpose(y, {0, 2, 1});
  return form.activation.empty() ? mixed : activation(mixed, form.activation);
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// State-space layers with a decay for each channel and state (Mamba, arXiv:2312.00752):
//
//   state <- exp(rate·step)·state + step·x⊗B,   y = state·C + D·x
//
// Their decays do not factor into one a head, so that there is no form by chunks in which nothing overflows: a Scan
// over the tokens, which holds one token's state at a time.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <optional>
#include <string>
#include <vector>

#include <onnxport/blocks/causal_convolution.hpp>
#include <onnxport/blocks/norm.hpp>

namespace onnxport::sdk {

/// x, step: f[batch, n, channels], the step above 0; rate: f[channels, state], below 0; b, c: f[batch, n, state];
/// state: f[batch, channels, state], absent in a first step.
struct SelectiveInput {
  Value x, step, rate, b, c, state;
};
struct SelectiveResult {
  Value y;      ///< f[batch, n, channels], without D·x
  Value state;  ///< after the last token
};

/// Source: mamba_selective_scan and mamba_selective_state_update, transformers 5.24.
inline SelectiveResult selective_scan(const Scope& scope, const SelectiveInput& given) {
  const int64_t channels = given.rate.fixed(0), states = given.rate.fixed(1);
  // f[batch, n, width] -> f[n, batch, width] with an axis of 1
  const auto walked = [](const Value& x, int64_t axis) { return unsqueeze(transpose(x, {1, 0, 2}), {axis}); };
  const Value before = given.state ? given.state.in(scope) : zeros_of_batch(given.x, {channels, states});
  const ScanOver over{
      .states = {before},
      .walked = {walked(given.x * given.step, 3), walked(given.step, 3), walked(given.b, 2), walked(given.c, 3)},
      .captures = {given.rate},
      .rows = 1};
  const ScanResult result = scope.graph().scan(scope, over, [](Graph&, const std::vector<Value>& in) -> ScanStep {
    const Value &stimulus = in[1], &step = in[2], &b = in[3], &c = in[4], &rate = in[5];
    const Value state = in[0] * exp(step * rate) + stimulus * b;
    return {{state}, {matmul(state, c)}};
  });
  return {transpose(squeeze(result.rows[0], {3}), {1, 0, 2}), result.states[0]};
}

/// A module of Mamba: a layer that makes what is convolved and a gate, the convolution, layers that make steps, B and C
/// of it, the recurrence, a layer behind the gate.
struct SelectiveMixer {
  int64_t channels, state, rank;  ///< `rank`: the width from which steps are made
  int64_t kernel = 4;
  bool convolution_bias = true, bias = false;  ///< `bias`: of the first layer and the last
  std::string activation = "silu";             ///< behind the convolution
  std::string gate = "silu";                   ///< of the gate
  /// Of what steps are made of, of B and of C: dt_layernorm, b_layernorm, c_layernorm.
  std::optional<Norm> norm{};

  CausalConvolution convolution() const {
    return {.channels = channels, .kernel = kernel, .bias = convolution_bias, .activation = activation};
  }
  /// What a layer of this kind leaves for the next step.
  std::vector<State> states(int64_t layer) const {
    return {state_of(convolution(), layer), remembered("ssm", layer, {axis::batch, channels, state})};
  }
};

/// x: f[batch, n, hidden] -> the same; counts: i64[batch, n, 1], 1 for a token that is no padding, absent where all
/// count. Weights: in_proj, conv1d, x_proj, dt_proj, A_log f[channels, state], D f[channels], out_proj.
/// Source: MambaMixer, FalconMambaMixer and JambaMambaMixer, transformers 5.24.
inline Value selective_mixer(const Scope& s, const Operand& x, const SelectiveMixer& form, const Value& counts,
                             Cache& cache, int64_t layer) {
  const auto counted = [&](const Value& h) { return counts ? h * cast(counts, h.dtype()) : h; };
  const Value made = linear(s / "in_proj", counted(x), {.out = 2 * form.channels, .bias = form.bias});
  const std::vector<Value> halves = split(made, -1, {form.channels, form.channels});
  const Value mixed = counted(causal_convolution(s / "conv1d", halves[0], form.convolution(), cache, layer));
  const Value chosen = linear(s / "x_proj", mixed, {.out = form.rank + 2 * form.state, .bias = false});
  const std::vector<Value> parts = split(chosen, -1, {form.rank, form.state, form.state});
  const auto normed = [&](const char* name, const Value& part) {
    return form.norm ? norm(s / name, part, *form.norm) : part;
  };
  const Value steps = linear(s / "dt_proj", normed("dt_layernorm", parts[0]), {.out = form.channels});

  const std::string state = form.states(layer)[1].name;
  const SelectiveResult result =
      selective_scan(s / "scan", {.x = mixed,
                                  .step = s.op("Softplus", {steps}),
                                  .rate = -exp(s.weight("A_log", {form.channels, form.state})),
                                  .b = normed("b_layernorm", parts[1]),
                                  .c = normed("c_layernorm", parts[2]),
                                  .state = cache.past(state)});
  cache.replace(state, result.state);
  const Value y = result.y.in(s) + mixed * s.weight("D", {form.channels});
  return linear(s / "out_proj", y * activation(halves[1], form.gate), {.out = x.fixed(-1), .bias = form.bias});
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// State-space layers with one decay a head (Mamba 2, arXiv:2405.21060): the recurrence
//
//   state <- exp(rate·step)·state + step·x⊗B,   y = state·C + D·x
//
// in its dual form. A text is cut into chunks; within a chunk every token meets those before it by C·B and how much has
// decayed in between, as in attention, and from chunk to chunk goes the state. What is taken to the power of e is never
// above 0, so that nothing overflows, however long the text is, and what is computed grows with its length alone but
// for a small matrix of decays between chunks.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/blocks/causal_convolution.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/resampling.hpp>

namespace onnxport::sdk {

/// How the step's tokens are cut into chunks, and which of them count; all layers share it.
struct Chunks {
  Value counts;            ///< i64[batch, n, 1]: 1 for a token that is no padding
  Value length;            ///< i64 scalar: of the step
  Value size{}, number{};  ///< i64 scalars: of a chunk, and how many there are
  Value places{};          ///< i64[number, size]: of each chunk its tokens, n behind the last one
};
/// mask: i64[batch, n], of the step's tokens.
inline Chunks chunks_of(const Scope& scope, const Operand& mask) {
  constexpr int64_t longest = 64;
  Graph& g = scope.graph();
  Chunks made{.counts = unsqueeze(mask, {2}).in(scope), .length = size_of(mask, 1)};
  // A step of few tokens is one chunk of so many.
  made.size = named_length(scope / "chunk", g.op("Min", {made.length, g.integer(longest)}));
  made.number = named_length(scope / "chunks", g.op("Div", {made.length + made.size - g.integer(1), made.size}));
  const Value place = unsqueeze(range(made.number) * made.size, {1}) + range(made.size);
  made.places = g.op("Min", {place, made.length});
  return made;
}

/// What a state-space layer computes with. Heads of a group share B and C.
struct StateSpace {
  int64_t heads, head_size, groups, state;
  int64_t width() const { return heads * head_size; }
};
/// x: f[batch, n, heads·head size]; step: f[batch, n, heads], above 0; rate: f[heads], below 0; b, c: f[batch, n,
/// groups·state]; state: f[batch, heads, head size, state], absent in a first step.
struct Stimulus {
  Value x, step, rate, b, c, state;
};
struct Swept {
  Value y;      ///< f[batch, n, heads·head size], without D·x
  Value state;  ///< f[batch, heads, head size, state], after the last token
};

namespace detail {

/// f[batch, n, width] -> f[batch, chunks, groups, heads of a group, size, width / groups / heads of a group], zeros
/// behind the last token.
inline Value in_chunks(const Operand& x, const Chunks& chunks, int64_t groups, int64_t heads) {
  const Value cut = gather(pad(x, {Pad{1, 0, 1}}), chunks.places, 1);
  return transpose(reshape(cut, {0, 0, 0, groups, heads, x.fixed(-1) / groups / heads}), {0, 1, 3, 4, 2, 5});
}
/// exp(sums[..., i] - sums[..., j]) for j up to i, else 0: how much is left at i of what there was at j: f[..., n] ->
/// f[..., n, n]. sums: of the decays' logarithms, up to each place.
inline Value left_between(const Operand& sums, const Value& length) {
  Graph& g = sums.graph();
  const Value place = range(length);
  const Value seen = g.op("GreaterOrEqual", {unsqueeze(place, {1}), place});
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  return exp(where(seen, unsqueeze(sums, {-1}) - unsqueeze(sums, {-2}), g.scalar(nothing, sums.dtype())));
}

}  // namespace detail

/// Source: mamba2_chunk_scan and mamba2_selective_state_update, transformers 5.24.
inline Swept sweep(const Stimulus& given, const StateSpace& form, const Chunks& chunks) {
  const int64_t groups = form.groups, heads = form.heads / groups, p = form.head_size, n = form.state;
  // Axes: batch, chunk, group, head of the group, and then token and width.
  const Value b = detail::in_chunks(given.b, chunks, groups, 1), c = detail::in_chunks(given.c, chunks, groups, 1);
  const Value step = unsqueeze(given.step, {3});
  const Value stimulus = reshape(reshape(given.x, {0, 0, form.heads, p}) * step, {0, 0, form.width()});
  const Value x = detail::in_chunks(stimulus, chunks, groups, heads);
  const Value decay = squeeze(detail::in_chunks(given.step * given.rate, chunks, groups, heads), {5});

  const Value sums = cumulative_sum(decay, 4), all = slice(sums, {4, -1});
  const Value met = matmul(c, transpose(b, {0, 1, 2, 3, 5, 4})) * detail::left_between(sums, chunks.size);
  const Value within = matmul(met, x);

  // What each chunk adds to the state by its end: f[batch, chunks, groups, heads, head size, state].
  const Value kept = x * unsqueeze(exp(all - sums), {5});
  const Value added = matmul(transpose(kept, {0, 1, 2, 3, 5, 4}), b);
  // The states before the first chunk, the second, … and behind the last one.
  const Value first = given.state ? reshape(given.state, {0, 1, groups, heads, p, n}) : Value();
  const Value sources = first ? concat({first, added}, 1) : pad(added, {Pad{1, 1, 0}});
  const Value passed = transpose(squeeze(pad(all, {Pad{1, 1, 0}}), {4}), {0, 2, 3, 1});
  const Value between = detail::left_between(cumulative_sum(passed, 3), chunks.number + 1);
  const Value flat = reshape(transpose(sources, {0, 2, 3, 1, 4, 5}), {0, 0, 0, -1, p * n});
  const Value states = matmul(between, flat);  // f[batch, groups, heads, chunks + 1, head size·state]

  const Value before = transpose(slice(states, {3, 0, -1}), {0, 3, 1, 2, 4});
  const Value carried = transpose(reshape(before, {0, 0, groups, heads, p, n}), {0, 1, 2, 3, 5, 4});
  const Value y = within + matmul(c, carried) * unsqueeze(exp(sums), {5});
  const Value whole = reshape(transpose(y, {0, 1, 4, 2, 3, 5}), {0, -1, form.width()});
  return {gather(whole, range(chunks.length), 1), reshape(slice(states, {3, -1}), {0, form.heads, p, n})};
}

/// A module of Mamba 2: a layer that makes all, a convolution over what goes into the recurrence, the recurrence, a
/// gated norm, and a layer behind.
struct StateSpaceMixer {
  enum class Gate {
    before_norm,  ///< norm(y · activation(gate))
    behind_norm,  ///< norm(y) · activation(gate)
    alone,        ///< y · activation(gate)
  };
  /// Below the mixer; a model's keep_in_fp32() names it.
  static constexpr const char* recurrence = "ssm";

  StateSpace space;
  int64_t kernel = 4;  ///< of the convolution
  bool convolution_bias = true, input_bias = false, output_bias = false;
  std::string activation = "silu";  ///< behind the convolution; the gate's is always silu
  /// Bounds of the steps. The original forgets them where a cached step has one token; they hold in all here.
  double least_step = 0, longest_step = std::numeric_limits<double>::infinity();
  Gate gate = Gate::before_norm;
  double epsilon = 1e-5;  ///< of the norm, which is an RMS norm of each group
  /// Of what the first layer makes: of the gate, x, B, C and the steps; empty: 1.
  std::vector<double> factors{};

  /// By the field time_step_limit: two numbers. Throws CONFIG where there are not two.
  void limit_steps(const Config& c, const char* field = "time_step_limit") {
    const std::vector<double> limits = c.reals(field);
    if (limits.empty()) return;
    if (limits.size() != 2) {
      throw Error(ONNXPORT_CONFIG, std::string("config field '") + field + "' has " + std::to_string(limits.size()) +
                                       " entries; expected the least step and the longest one");
    }
    least_step = limits[0];
    longest_step = limits[1];
  }

  int64_t groups_width() const { return space.groups * space.state; }
  CausalConvolution convolution() const {
    return {.channels = space.width() + 2 * groups_width(),
            .kernel = kernel,
            .bias = convolution_bias,
            .activation = activation};
  }
  /// What a layer of this kind leaves for the next step.
  std::vector<State> states(int64_t layer) const {
    return {state_of(convolution(), layer),
            remembered("ssm", layer, {axis::batch, space.heads, space.head_size, space.state})};
  }
};

namespace detail {

/// Source: MambaRMSNormGated and FalconH1RMSNormGated, transformers 5.24, which norm by group; 4.57 normed over the
/// whole width, unlike what the checkpoints were trained with.
inline Value gated_norm(const Scope& scope, const Operand& y, const Value& gate, const StateSpaceMixer& form) {
  using Gate = StateSpaceMixer::Gate;
  const Value opened = activation(gate, "silu");
  if (form.gate == Gate::alone) return y * opened;
  const int64_t width = form.space.width(), groups = form.space.groups;
  const Value read = form.gate == Gate::before_norm ? y * opened : Value(y);
  const Norm each{.kind = Norm::Kind::rms, .epsilon = form.epsilon, .weight = groups == 1};
  Value normed;
  if (groups == 1) {
    normed = norm(scope, read, each);
  } else {
    const Value apart = reshape(read, {0, 0, groups, width / groups});
    normed = reshape(norm(scope, apart, each), {0, 0, width}) * scope.weight("weight", {width});
  }
  return form.gate == Gate::behind_norm ? normed * opened : normed;
}

/// What the first layer makes: the gate, what is convolved, the steps.
inline std::vector<Value> projected(const Scope& s, const Operand& x, const StateSpaceMixer& form) {
  const int64_t width = form.space.width(), shared = form.groups_width(), heads = form.space.heads;
  const std::vector<int64_t> widths{width, width, shared, shared, heads};
  Value made = linear(s / "in_proj", x, {.out = 2 * width + 2 * shared + heads, .bias = form.input_bias});
  if (!form.factors.empty()) {
    std::vector<float> factors;
    for (size_t i = 0; i < widths.size(); ++i)
      factors.insert(factors.end(), static_cast<size_t>(widths[i]), static_cast<float>(form.factors.at(i)));
    made = made * s.graph().constant<float>(DType::f32, {static_cast<int64_t>(factors.size())}, factors);
  }
  return split(made, -1, {width, width + 2 * shared, heads});
}

}  // namespace detail

/// x: f[batch, n, hidden] -> the same. Weights: in_proj, conv1d, dt_bias f[heads], A_log f[heads], D f[heads],
/// norm.weight f[width], out_proj. Source: Mamba2Mixer, BambaMixer and FalconH1Mixer, transformers 5.24.
inline Value state_space_mixer(const Scope& s, const Operand& x, const StateSpaceMixer& form, const Chunks& chunks,
                               Cache& cache, int64_t layer) {
  const StateSpace& space = form.space;
  const int64_t width = space.width(), shared = form.groups_width();
  const Value counts = cast(chunks.counts, x.dtype());
  const std::vector<Value> made = detail::projected(s, x * counts, form);
  const Value mixed = causal_convolution(s / "conv1d", made[1], form.convolution(), cache, layer) * counts;
  const std::vector<Value> parts = split(mixed, -1, {width, shared, shared});

  // The recurrence stands in a module of its own, which a model keeps in f32 (keep_in_fp32).
  const Scope recurrence = s / StateSpaceMixer::recurrence;
  Graph& g = s.graph();
  Value step = g.op("Softplus", {made[2].in(recurrence) + s.weight("dt_bias", {space.heads})});
  if (form.least_step > 0) step = g.op("Max", {step, g.scalar(form.least_step, step.dtype())});
  if (form.longest_step < std::numeric_limits<float>::max())
    step = g.op("Min", {step, g.scalar(form.longest_step, step.dtype())});

  const std::string state = form.states(layer)[1].name;
  const Swept swept = sweep({.x = parts[0].in(recurrence),
                             .step = step,
                             .rate = -exp(s.weight("A_log", {space.heads}).in(recurrence)),
                             .b = parts[1].in(recurrence),
                             .c = parts[2].in(recurrence),
                             .state = cache.past(state).in(recurrence)},
                            space, chunks);
  cache.replace(state, swept.state);
  const Value direct =
      reshape(parts[0], {0, 0, space.heads, space.head_size}) * unsqueeze(s.weight("D", {space.heads}), {1});
  const Value y = swept.y.in(s) + reshape(direct, {0, 0, width});
  return linear(s / "out_proj", detail::gated_norm(s / "norm", y, made[0], form),
                {.out = x.fixed(-1), .bias = form.output_bias});
}

}  // namespace onnxport::sdk

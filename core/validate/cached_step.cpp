// SPDX-License-Identifier: Apache-2.0
#include "core/validate/cached_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/validate/padding.hpp"

namespace onnxport {
namespace {

/// The state that the output is; null where it is none.
const StateSpec* state_of(const std::vector<StateSpec>& states, const std::string& output) {
  const auto found =
      std::find_if(states.begin(), states.end(), [&](const StateSpec& state) { return state.present == output; });
  return found == states.end() ? nullptr : &*found;
}

/// The axis along which an output holds places, one for each token: the one by which a state grows, else axis 1.
std::optional<size_t> place_axis(const StateSpec* state) {
  return state == nullptr ? std::optional<size_t>(1) : state->grows;
}

}  // namespace

Tensors as_past(const std::vector<StateSpec>& states, const Tensors& outputs) {
  Tensors past;
  for (const StateSpec& state : states) {
    const auto found = outputs.find(state.present);
    if (found != outputs.end()) past.emplace(state.past, found->second);
  }
  return past;
}

ValidationRun compare_cached_step(const SteppedDecoder& decoder, const Tokens& tokens, int64_t prefix,
                                  const Tolerance& tolerance) {
  const int64_t total = tokens.ids.shape[1];
  Tensors whole = decoder.first(tokens);
  const Tokens before{along_sequence(tokens.ids, 0, prefix), along_sequence(tokens.mask, 0, prefix)};
  const Tensors seen = decoder.first(before);
  Tensors stepped = decoder.next({along_sequence(tokens.ids, prefix, total), tokens.mask}, seen);
  Tensors expected;
  for (auto& [name, tensor] : whole) {
    const auto found = stepped.find(name);
    if (found == stepped.end()) continue;  // a state that is kept is not put out again
    const StateSpec* state = state_of(decoder.states, name);
    const std::optional<size_t> axis = place_axis(state);
    // A state holds all places, an output over tokens those of the rest; another output tells of no single token.
    const bool has_places = axis && tensor.shape.size() > *axis && tensor.shape[*axis] == total;
    if (state == nullptr && !has_places) continue;
    const int64_t begin = state == nullptr ? prefix : 0;
    ir::Tensor rest = state == nullptr ? along_sequence(tensor, prefix, total) : std::move(tensor);
    if (has_places && rest.shape == found->second.shape) {
      blank_padding(rest, *axis, tokens.mask, begin);
      blank_padding(found->second, *axis, tokens.mask, begin);
    }
    expected.emplace(name, std::move(rest));
  }
  ValidationRun run;
  run.label = fmt::format("batch {}, {} tokens after {}, cached", tokens.ids.shape[0], total - prefix, prefix);
  Tolerance used = tolerance;
  used.only_finite = true;
  run.differences = compare(expected, stepped, used);
  run.passes = !run.differences.empty() && std::all_of(run.differences.begin(), run.differences.end(),
                                                       [](const Difference& d) { return d.passes; });
  return run;
}

}  // namespace onnxport

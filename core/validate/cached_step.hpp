// SPDX-License-Identifier: Apache-2.0
// A decoder's cached step against the uncached run of the same tokens.
#pragma once

#include <functional>
#include <vector>

#include "core/validate/step_inputs.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

/// A decoder as something to call, whatever graphs it is made of.
struct SteppedDecoder {
  /// Without a past. Yields the outputs, those of the states among them.
  std::function<Tensors(const Tokens&)> first;
  /// With what an earlier call yielded.
  std::function<Tensors(const Tokens&, const Tensors& before)> next;
  std::vector<StateSpec> states;
};

/// Runs all tokens at once, and the first `prefix` of them followed by the rest in one cached step, and compares the
/// outputs of the rest and every state that the step puts out. A padded place is not compared: what it holds means
/// nothing.
ValidationRun compare_cached_step(const SteppedDecoder& decoder, const Tokens& tokens, int64_t prefix,
                                  const Tolerance& tolerance);

/// What a step puts out as its states, under the names by which the next one takes them.
Tensors as_past(const std::vector<StateSpec>& states, const Tensors& outputs);

}  // namespace onnxport

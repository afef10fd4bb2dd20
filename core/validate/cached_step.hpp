// SPDX-License-Identifier: Apache-2.0
// A decoder's cached step against the uncached run of the same tokens.
#pragma once

#include <functional>

#include "core/validate/validate.hpp"

namespace onnxport {

/// The tokens of one call: ids i64[batch, n], and a mask i64[batch, past + n].
struct Tokens {
  ir::Tensor ids, mask;
};

/// A decoder as something to call, whatever graphs it is made of.
struct SteppedDecoder {
  /// Without a past. Yields the outputs, present.* among them.
  std::function<Tensors(const Tokens&)> first;
  /// With what an earlier call yielded.
  std::function<Tensors(const Tokens&, const Tensors& before)> next;
};

/// Runs all tokens at once, and the first `prefix` of them followed by the rest in one cached step, and compares the
/// outputs of the rest and all of present.*. A padded place is not compared: what it holds means nothing.
ValidationRun compare_cached_step(const SteppedDecoder& decoder, const Tokens& tokens, int64_t prefix,
                                  const Tolerance& tolerance);

/// past_key_values.X for what was put out as present.X.
Tensors as_past(const Tensors& outputs);
/// The places [begin, end) of axis 1.
ir::Tensor along_sequence(const ir::Tensor& tensor, int64_t begin, int64_t end);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What each input of a decoder's graph takes in one step, told by roles and states.
#pragma once

#include <optional>

#include "core/description/description.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// The tokens of one call: ids i64[batch, n] or vectors f[batch, n, width], and a mask i64[batch, past + n].
struct Tokens {
  ir::Tensor ids, mask;
};

/// How long a step is: the axis of the tokens that it adds. Told by what a state grows by or, where none does, by the
/// only tokens that there are; nullopt where neither tells.
std::optional<ir::Dim> step_axis(const Description& description);

/// The input that holds a step's tokens: ids or embeddings over that axis; null where there is none.
const InputSpec* tokens_of(const Description& description, const ir::Dim& step);

/// Whether the input is of the tokens, itself over the step or over all that the step sees.
bool belongs_to(const InputSpec& spec, const InputSpec& tokens);

/// The last places of the mask, where the input's second axis is the step; else all of it.
ir::Tensor mask_for(const InputSpec& spec, const ir::Dim& step, const Tokens& tokens);
/// Positions as generation counts them, of the tokens behind those of the past.
ir::Tensor positions_for(const InputSpec& spec, const Tokens& tokens);
/// A state before the first step: nothing along its open axes but the batch, else zeros.
ir::Tensor empty_state(const InputSpec& spec, int64_t batch);

/// The places [begin, end) of axis 1.
ir::Tensor along_sequence(const ir::Tensor& tensor, int64_t begin, int64_t end);

}  // namespace onnxport

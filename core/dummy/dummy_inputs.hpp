// SPDX-License-Identifier: Apache-2.0
// Inputs of the declared names and shapes on which a model can be run, for validation.
#pragma once

#include "core/definition/onnx_config.hpp"

namespace onnxport {

/// Makes a tensor for every declared input. Symbolic axes get a size by their name ("batch", "sequence", "choice",
/// "past_sequence", …; a past is always of another length than the sequence), contents follow the input's role:
/// ids with the special tokens of `preprocessor` (or, where it is null, of config.json), masks with the padding that
/// the ids have, segments, positions, boxes, and values of about [-1, 1] for the rest. Same arguments, same bytes on
/// every machine. Throws Error(plugin) naming a symbol that it cannot size.
Tensors generate_dummy_inputs(const Description& description, const Json& config, const Preprocessor* preprocessor,
                              const DummyOptions& options);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Inputs of the declared roles and shapes on which a model can be run, for validation.
#pragma once

#include "core/checkpoint/checkpoint.hpp"
#include "core/description/description.hpp"
#include "core/dummy/dummy_options.hpp"
#include "core/dummy/preprocessor.hpp"
#include "core/dummy/sizes.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Makes a tensor for every declared input. Axes get a length by their symbol
/// (core/dummy/sizes.hpp; a past is always of another length than the sequence), contents follow the input's role: ids
/// with the special tokens of `preprocessor` (or, where it is null, of config.json); masks with the padding that the
/// ids have; token types, positions, boxes; reals in the range that is stated, else in [-1, 1). An input without a role
/// is taken by its type: integers with a limit are indices below it, integers without are 1. Same arguments, same bytes
/// on every machine. Throws Error(plugin) naming a symbol that it cannot size.
Tensors generate_dummy_inputs(const Description& description, const Json& config, const Preprocessor* preprocessor,
                              const DummyOptions& options);

/// What inputs are made for.
struct DummyModel {
  const Description& description;
  const Json& config;
  const Preprocessor* preprocessor;  // may be null
};
/// The same where the lengths are known and some tensors are `given`.
Tensors fill_dummy_inputs(Tensors given, const DummyModel& model, const dummy::Sizes& sizes,
                          const DummyOptions& options);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// A definition and a file whose inputs have another form (InputForm), as two that take and yield the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/passes/input_form.hpp"
#include "core/passes/preallocate_cache.hpp"

namespace onnxport {

/// The definition's inputs as the file takes them: integers in 32 bits where it wants these, and all logits where no
/// number of them is given. States stay as they are.
Tensors as_file_takes(Tensors inputs, const InputForm& form);

/// The file, taking and yielding what its definition does. Where it has buffers for `states`, these are given with
/// numbers behind the past that it must not read, and cut to what they hold when they come back. Throws Error(usage)
/// where a past and a step have no place in them.
std::unique_ptr<Runnable> as_defined(std::unique_ptr<Runnable> file, const InputForm& form,
                                     std::vector<GrowingState> states = {});

/// The results, whose output of that name is cut to as many of its last rows as kept_logits_input says, where the
/// inputs have that.
Tensors cut_logits(Tensors results, const Tensors& inputs, const std::string& logits);

/// The definition, whose output of that name is cut to as many of its last rows as kept_logits_input says. What
/// evaluates it knows nothing of that input.
std::unique_ptr<Runnable> with_kept_logits(std::unique_ptr<Runnable> definition, std::string logits);

}  // namespace onnxport

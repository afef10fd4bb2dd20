// SPDX-License-Identifier: Apache-2.0
// A definition and a file whose inputs have another form (InputForm), as two that take and yield the same.
#pragma once

#include <memory>
#include <string>

#include "core/backend/backend.hpp"
#include "core/passes/input_form.hpp"

namespace onnxport {

/// The definition's inputs as the file takes them: integers in 32 bits where it wants these, and all logits where no
/// number of them is given.
Tensors as_file_takes(Tensors inputs, const InputForm& form);

/// The file, taking what its definition takes.
std::unique_ptr<Runnable> as_defined(std::unique_ptr<Runnable> file, const InputForm& form);

/// The results, whose output of that name is cut to as many of its last rows as kept_logits_input says, where the
/// inputs have that.
Tensors cut_logits(Tensors results, const Tensors& inputs, const std::string& logits);

/// The definition, whose output of that name is cut to as many of its last rows as kept_logits_input says. What
/// evaluates it knows nothing of that input.
std::unique_ptr<Runnable> with_kept_logits(std::unique_ptr<Runnable> definition, std::string logits);

}  // namespace onnxport

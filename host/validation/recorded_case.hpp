// SPDX-License-Identifier: Apache-2.0
// Whether a recording belongs to a model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/validate/validate.hpp"
#include "host/model/model_summary.hpp"

namespace onnxport {

/// Throws Error(checkpoint), listing everything at once, where the model cannot be run on a case file's inputs (one is
/// missing, of another type or shape, or none of the model's) or lacks an output that the file records. Yields the
/// outputs that the file does not record, which nothing compares.
std::vector<std::string> check_case(const ValidationInputs& recorded, const std::filesystem::path& file,
                                    const ModelSummary& model);

/// Where in a model a difference from what was recorded begins, as far as its numbered steps were recorded
/// (hidden_states.3, attentions.0): "it begins between hidden_states.2, which agrees, and hidden_states.3". Empty where
/// no step differs.
std::string where_it_begins(const std::vector<ValidationRun>& runs);

}  // namespace onnxport

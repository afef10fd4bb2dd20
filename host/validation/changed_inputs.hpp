// SPDX-License-Identifier: Apache-2.0
// Whether a file still takes what it was exported with.
#pragma once

#include "host/model/model_summary.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// Throws Error(differs), listing everything at once, where the file takes inputs that the definitions it was exported
/// from do not give, lacks some that they do, or wants them of another type: whoever edits an export may rename them.
void require_unchanged_inputs(const FileToValidate& written, const ModelSummary& file);

}  // namespace onnxport

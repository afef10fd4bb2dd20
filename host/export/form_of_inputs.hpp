// SPDX-License-Identifier: Apache-2.0
// The inputs and outputs of a definition in the form that was asked for, without lowering it.
#pragma once

#include "core/export/export.hpp"

namespace onnxport {

/// The definition's graph, of whose passes only those ran that change its inputs and outputs. Throws Error(usage) that
/// names the size where the model cannot be of one that is fixed, with how many positions config.json gives, and as
/// these passes do.
ir::Graph in_form(const Definition& definition, const InputForm& form, const Json& config);

}  // namespace onnxport

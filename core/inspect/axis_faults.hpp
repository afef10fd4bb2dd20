// SPDX-License-Identifier: Apache-2.0
// Whether the axes that a file declares open are: shapes are inferred at several lengths.
#pragma once

#include <vector>

#include "core/inspect/findings.hpp"

namespace onnxport::inspect {

/// "frozen-axis", "limited-axis", "output-axis", "fixed-input"
std::vector<Finding> axis_faults(const Subject& subject);

}  // namespace onnxport::inspect

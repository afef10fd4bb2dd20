// SPDX-License-Identifier: Apache-2.0
// What to do about a file that differs from the original, recorded or run.
#pragma once

#include <string>

#include "host/validation/validate_export.hpp"

namespace onnxport {

/// `positions`: how the file counts them ("mask"); empty where that is no choice of the model.
std::string advice_on_original(const ExportValidation& found, const std::string& positions);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/export/export.hpp"

namespace onnxport {

/// The operators of opset `wanted` that the definition is written with there, and does without in the form's opset.
std::vector<std::string> avoided_operators(const OnnxConfig& config, const Definition& definition,
                                           const GraphForm& form, int64_t wanted);

}  // namespace onnxport

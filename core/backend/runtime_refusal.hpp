// SPDX-License-Identifier: Apache-2.0
// What a runtime says against a model, as its user understands it.
#pragma once

#include <string>

#include "core/error.hpp"

namespace onnxport {

/// Error(differs) of what was being done ("ONNX Runtime cannot run the model") and of what the library said of it: with
/// the operator, the node and the module in which it stands, where the text names them, and in the hint what to do.
Error runtime_refusal(const std::string& doing, const std::string& said);

}  // namespace onnxport

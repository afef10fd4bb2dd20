// SPDX-License-Identifier: Apache-2.0
// Whose operators a file may hold.
#pragma once

namespace onnxport {

/// ONNX's alone, or ONNX Runtime's as well.
enum class Target { onnx, ort };

}  // namespace onnxport

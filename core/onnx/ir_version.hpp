// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace onnxport {

/// The IR version that came with an opset. Source: the table in onnx/helper.py of onnx 1.19.
int64_t ir_version_for(int64_t opset);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Numbers of bytes as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace onnxport {

/// "86.7 MB"
std::string format_bytes(uint64_t bytes);

}  // namespace onnxport

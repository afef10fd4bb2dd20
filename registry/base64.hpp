// SPDX-License-Identifier: Apache-2.0
// Bytes as a text, for files that hold nothing but texts.
#pragma once

#include <string>

namespace onnxport {

/// RFC 4648, section 4, padded, in one line.
std::string to_base64(const std::string& data);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "registry/base64.hpp"

#include <nettle/base64.h>

namespace onnxport {

std::string to_base64(const std::string& data) {
  std::string text(BASE64_ENCODE_RAW_LENGTH(data.size()), '\0');
  base64_encode_raw(text.data(), data.size(), reinterpret_cast<const uint8_t*>(data.data()));
  return text;
}

}  // namespace onnxport

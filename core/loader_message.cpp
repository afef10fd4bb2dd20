// SPDX-License-Identifier: Apache-2.0
#include "core/loader_message.hpp"

#include <string_view>

namespace onnxport {

std::string loader_message(const std::exception& failure) {
  std::string message = failure.what();
  constexpr std::string_view before = "dlerror system message: ";
  const size_t at = message.find(before);
  if (at == std::string::npos) return message;
  message.erase(0, at + before.size());
  if (const size_t end = message.rfind("): "); end != std::string::npos) message.resize(end);
  return message;
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/privileges.hpp"

#include <unistd.h>

#include <cstdlib>
#ifdef __linux__
#include <sys/auxv.h>
#endif

namespace onnxport {

bool has_elevated_privileges() {
#ifdef __linux__
  if (getauxval(AT_SECURE) != 0) return true;
#endif
  return ::geteuid() != ::getuid() || ::getegid() != ::getgid();
}

std::optional<std::string> variable_for_code(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0' || has_elevated_privileges()) return std::nullopt;
  return value;
}

}  // namespace onnxport

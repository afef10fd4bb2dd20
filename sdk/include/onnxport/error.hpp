// SPDX-License-Identifier: Apache-2.0
// Errors and strings on the plugin's side of the ABI.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/abi.h>
#include <onnxport/call_site.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace onnxport::sdk {

/// Thrown by everything in the SDK, and by plugins; the bridge turns it into a status. What the definition itself did
/// wrong is told with the line of the call; what a config or a checkpoint says is not for the line to answer for.
class Error : public std::runtime_error {
 public:
  Error(onnxport_code code, const std::string& text, std::string place = {})
      : std::runtime_error(is_of_the_definition(code) ? CallSite::located(text) : text),
        code_(code),
        place_(std::move(place)) {}
  onnxport_code code() const { return code_; }
  const std::string& place() const { return place_; }

 private:
  static bool is_of_the_definition(onnxport_code code) {
    return code == ONNXPORT_GRAPH || code == ONNXPORT_INVALID_ARGUMENT;
  }

  onnxport_code code_;
  std::string place_;
};

inline onnxport_string to_abi(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view from_abi(onnxport_string text) {
  return text.size == 0 ? std::string_view{} : std::string_view{text.data, text.size};
}

/// Throws what a status says and frees it; does nothing on success.
inline void check(const onnxport_host* host, onnxport_status* status) {
  if (status == nullptr) return;
  const Error error(host->status_code(status), std::string(from_abi(host->status_text(status))),
                    std::string(from_abi(host->status_place(status))));
  host->status_release(status);
  throw error;
}

}  // namespace onnxport::sdk

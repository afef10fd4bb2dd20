// SPDX-License-Identifier: Apache-2.0
// How failures cross the ABI: a status out of whatever the host throws, and the host's error out of a plugin's status.
#pragma once

#include <onnxport/abi.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

/// A status: code, text and place.
struct onnxport_status {
  onnxport_code code;
  std::string text, place;
};

namespace onnxport::detail {

inline onnxport_string abi(std::string_view from) {
  return {from.data(), from.size()};
}

/// Runs `body` on behalf of a plugin; what it throws becomes a status with this code, and where the plugin gave what it
/// must not (given.hpp) with INVALID_ARGUMENT.
template <class Body>
onnxport_status* guarded(onnxport_code code, Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::invalid_argument& error) {
    return new onnxport_status{ONNXPORT_INVALID_ARGUMENT, error.what(), ""};
  } catch (const std::exception& error) {
    return new onnxport_status{code, error.what(), ""};
  } catch (...) {
    return new onnxport_status{ONNXPORT_INTERNAL, "an unknown exception in the host", ""};
  }
}

/// Turns a plugin's failure into the host's error, naming the plugin and the place; frees the status.
void throw_status(onnxport_status* status, const std::string& plugin_id, const std::string& model_type);

}  // namespace onnxport::detail

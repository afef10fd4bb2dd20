// SPDX-License-Identifier: Apache-2.0
// A plugin that breaks off its own loading: one of its constructors throws.
#include <onnxport/abi.h>

#include <stdexcept>

namespace {

struct Thrower {
  Thrower() { throw std::runtime_error("thrown in a constructor"); }
};
const Thrower thrower;

}  // namespace

extern "C" ONNXPORT_EXPORT const onnxport_plugin* onnxport_plugin_entry(void) {
  return nullptr;
}

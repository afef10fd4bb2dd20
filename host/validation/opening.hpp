// SPDX-License-Identifier: Apache-2.0
// The back ends, on their way while a model is defined and written.
#pragma once

#include <cstdint>
#include <future>

namespace onnxport {

/// Opens the back ends: ONNX Runtime, which takes milliseconds, at once, and libtorch, which takes half a second, by a
/// thread of its own. It is joined with the object.
class OpeningBackends {
 public:
  /// Throws Error(usage) where ONNX Runtime cannot be opened and, before a write of so many bytes that waiting for
  /// libtorch does not count, where libtorch cannot. Otherwise whoever asks for libtorch gets to know.
  explicit OpeningBackends(uint64_t bytes_to_write);

 private:
  std::future<void> reference_;
};

}  // namespace onnxport

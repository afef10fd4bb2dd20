// SPDX-License-Identifier: Apache-2.0
#include "host/validation/opening.hpp"

#include "core/backend/backend.hpp"

namespace onnxport {
namespace {

constexpr uint64_t long_write = 2'000'000'000;

}  // namespace

OpeningBackends::OpeningBackends(uint64_t bytes_to_write) {
  // In this order: the loader lets one library in at a time, and ONNX Runtime's back end sets variables of the
  // environment, which no other thread may read meanwhile.
  load_backend("onnxruntime");
  reference_ = std::async(std::launch::async, [] { load_backend("reference"); });
  if (bytes_to_write >= long_write) reference_.get();
}

}  // namespace onnxport

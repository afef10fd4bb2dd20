// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: entries within the bytes, or an error of the kind that users see.
#include <cstdlib>
#include <span>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace onnxport;
  try {
    for (const SafetensorsEntry& entry :
         parse_safetensors_header({reinterpret_cast<const std::byte*>(data), size}, "fuzz")) {
      uint64_t bytes = ir::size_of(entry.dtype);
      for (int64_t length : entry.shape) bytes *= static_cast<uint64_t>(length);
      if (bytes != entry.bytes || entry.offset > size || entry.bytes > size - entry.offset) std::abort();
    }
  } catch (const Error& error) {
    if (error.failure() != Failure::checkpoint) std::abort();
  }
  return 0;
}

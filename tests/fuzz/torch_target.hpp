// SPDX-License-Identifier: Apache-2.0
// What the targets for files of torch.save share.
#pragma once

#include <cstdlib>
#include <string>

#include "core/checkpoint/torch_file.hpp"
#include "core/error.hpp"

namespace onnxport {

/// Reads any bytes as a file of torch.save: tensors whose elements all lie within the bytes, or an error of the kind
/// that users see.
inline void try_torch_file(std::span<const std::byte> bytes) {
  try {
    for (const StoredTensor& stored : parse_torch_file(bytes, "fuzz").tensors) {
      unsigned __int128 count = 1, end = 1;
      for (size_t axis = 0; axis < stored.shape.size(); ++axis) {
        const auto size = static_cast<uint64_t>(stored.shape[axis]);
        count *= size;
        if (!stored.strides.empty() && size > 0)
          end += static_cast<unsigned __int128>(size - 1) * static_cast<uint64_t>(stored.strides[axis]);
      }
      if (stored.strides.empty()) end = count;
      const size_t size = ir::size_of(stored.dtype);
      if (count * size != stored.bytes || stored.offset > bytes.size()) std::abort();
      if (count > 0 && end * size > bytes.size() - stored.offset) std::abort();
    }
  } catch (const Error& error) {
    if (error.failure() != Failure::checkpoint) std::abort();
  }
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// From the pickled dict of a torch.save file to tensors, wherever the bytes of its storages lie.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/pickle.hpp"
#include "core/checkpoint/torch_file.hpp"

namespace onnxport {

/// The globals that a dict of tensors needs: storages, types, and PyTorch's functions that put tensors together.
std::vector<std::string_view> torch_globals();

/// A storage as the pickle refers to it: elements [first, first + count) of the bytes under a key.
struct TorchStorage {
  ir::DType dtype;
  std::string key;
  uint64_t first, count;
};

/// The bytes of a storage in the file.
struct Extent {
  uint64_t offset, bytes;
};

/// What a value is, for messages: "the number 3", "a dict of 2".
std::string describe(const pickle::Document& document, pickle::Ref ref);

/// The storages that a pickle refers to (those of a shared key each time). Throws Error(checkpoint) where it refers to
/// something else.
std::vector<TorchStorage> torch_storages(const pickle::Document& document, const std::string& path);

/// The pickled dict as a file's contents. `locate` yields where a storage lies, or throws.
TorchFile torch_tensors(const pickle::Document& document, const std::string& path,
                        const std::function<Extent(const TorchStorage&)>& locate);

}  // namespace onnxport

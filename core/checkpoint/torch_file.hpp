// SPDX-License-Identifier: Apache-2.0
// The files of torch.save (pytorch_model.bin): a pickled dict of tensors and the bytes of their storages.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/weight.hpp"

namespace onnxport {

/// What a file of torch.save holds.
struct TorchFile {
  std::vector<StoredTensor> tensors;  ///< in order of name
  std::vector<std::string> notes;     ///< entries that are no tensors and were left out, in words
};

/// The tensors of a file of torch.save: a zip archive as PyTorch writes since 1.6, or the form before it. The file must
/// hold a flat dict of tensors, as state_dict() gives; tensors may share storages and be views with strides. Numbers
/// and texts beside them are left out with a note. Every offset, length and count is checked against the file. Throws
/// Error(checkpoint) where the file is broken, of a big-endian machine, or asks for more than tensors, naming what.
TorchFile read_torch_file(const std::string& path);

/// The same from bytes that lie in memory; the tensors' `file` stays empty. `path` is for messages.
TorchFile parse_torch_file(std::span<const std::byte> bytes, const std::string& path);

}  // namespace onnxport

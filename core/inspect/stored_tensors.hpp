// SPDX-License-Identifier: Apache-2.0
// The tensors that a file stores, wherever they stand in it, and their bytes, which are read only where one asks.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/inspect/onnx_file.hpp"

namespace onnxport::inspect {

/// A weight or a constant.
struct StoredTensor {
  std::string name;    // of the initializer; of a Constant node's result
  std::string module;  // "encoder.layer.0.query"; empty where no name tells
  const pb::TensorProto* tensor = nullptr;
  bool in_node = false;  // stands in an attribute of a node

  uint64_t bytes() const { return bytes_of(*tensor); }
};

/// All of them in the file's order: initializers, then those in nodes, bodies and functions included. They point into
/// the model.
std::vector<StoredTensor> stored_tensors(const pb::ModelProto& model);

/// Bytes of tensors over mappings of the files in which they lie. Not for several threads.
class TensorBytes {
 public:
  explicit TensorBytes(const OnnxFile& file) : file_(file) {}

  /// The elements as they lie in the file, one after the other. nullopt where they are not there, all or in part, or
  /// are protobuf's numbers.
  std::optional<std::span<const std::byte>> of(const pb::TensorProto& tensor);
  /// Why the bytes are not there, in words; empty where they are, as far as the size of a file tells.
  std::string problem(const pb::TensorProto& tensor);

 private:
  /// The mapping of a location below the model's folder; null where there is no such file.
  std::shared_ptr<const MappedFile> open(const std::string& location);

  const OnnxFile& file_;
  std::map<std::string, std::shared_ptr<const MappedFile>> opened_;
};

}  // namespace onnxport::inspect

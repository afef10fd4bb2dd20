// SPDX-License-Identifier: Apache-2.0
// An ONNX file of any size and from any exporter, read without its weights.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/files/mapped_file.hpp"

namespace onnxport::inspect {

namespace pb = ONNX_NAMESPACE;

/// A model whose messages were read and whose tensors of more than `kept_bytes` were not: each refers to its bytes as
/// external data does, with the empty location, which stands for the model's own file. What is smaller is in place,
/// since shapes hang on it.
struct OnnxFile {
  std::filesystem::path path;
  std::shared_ptr<const MappedFile> mapping;
  pb::ModelProto model;

  std::filesystem::path folder() const { return path.parent_path(); }
};

/// Tensors up to this size keep their bytes in the message.
inline constexpr size_t kept_bytes = 1024;

/// Reads over a mapping and passes over the bytes of tensors, those in nodes, bodies and functions too. Throws
/// Error(checkpoint) where the file is no ONNX model.
OnnxFile read_onnx_file(const std::filesystem::path& file);

/// The same for messages in memory, which must stay where they are as long as places are looked up in them. Throws
/// std::runtime_error saying what is wrong.
pb::ModelProto parse_without_weights(const char* bytes, size_t size);

/// Where the bytes of a tensor lie that the message does not hold.
struct TensorPlace {
  std::string location;            // below the model's folder; empty: the model's own file
  uint64_t offset = 0;             // in that file
  std::optional<uint64_t> length;  // nullopt: as the tensor's type and dimensions say
  bool is_raw = true;              // little-endian elements one after the other; else protobuf's numbers
};

/// nullopt where the message holds the bytes.
std::optional<TensorPlace> place_of(const pb::TensorProto& tensor);

/// Bytes that a tensor of its type and dimensions takes as plain elements; 0 for strings.
uint64_t bytes_of(const pb::TensorProto& tensor);
/// Elements; saturates where dimensions are absurd.
uint64_t elements_of(const pb::TensorProto& tensor);
/// "f32", "i64", …; ONNX's own name for types that the graph does not have.
std::string type_name(int32_t type);
/// Bits of one element; 0 for strings and unknown types.
uint64_t bits_of(int32_t type);

}  // namespace onnxport::inspect

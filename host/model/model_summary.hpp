// SPDX-License-Identifier: Apache-2.0
// What an ONNX file says of itself, read without its weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace onnxport {

struct ModelSummary {
  struct TensorInfo {
    std::string name, type;                              // "i64[batch, sequence]"
    std::string element;                                 // "i64"; empty where it is no tensor
    std::optional<std::vector<std::string>> dimensions;  // "batch", "768", "?"; none where any rank will do
  };
  struct Weights {
    size_t tensors = 0;
    uint64_t bytes = 0;
  };
  std::string producer, producer_version;
  int64_t ir_version = 0;
  std::vector<std::pair<std::string, int64_t>> opsets;  // domain ("" is ONNX) -> version
  std::vector<TensorInfo> inputs, outputs;
  std::map<std::string, size_t> operators;  // "MatMul", "com.microsoft:Gelu" -> nodes, subgraphs included
  size_t nodes = 0, functions = 0;
  std::map<std::string, Weights> initializers;  // by element type
  std::vector<std::string> external_files;
  std::map<std::string, std::string> metadata;

  /// The version of the default domain, or 0.
  int64_t opset() const;
};

/// Reads the file over a mapping and passes over the bytes of its weights, so that a file of any size takes
/// little time and memory. Throws Error(checkpoint) where it is no ONNX model.
ModelSummary read_model_summary(const std::filesystem::path& file);

}  // namespace onnxport

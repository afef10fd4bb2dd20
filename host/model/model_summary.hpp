// SPDX-License-Identifier: Apache-2.0
// What an ONNX file says of itself, read without its weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/inspect/inspection.hpp"

namespace onnxport {

struct ModelSummary {
  using TensorInfo = inspect::Port;
  std::string producer;
  std::vector<std::pair<std::string, int64_t>> opsets;  // domain ("" is ONNX) -> version
  std::vector<TensorInfo> inputs, outputs;
  std::map<std::string, std::string> metadata;
  std::map<std::string, uint64_t> external_files;  // below the model's folder -> where the last of their weights ends
  uint64_t largest_inside = 0;                     // bytes of the largest weight that the file itself holds

  /// The version of the default domain, or 0.
  int64_t opset() const;
};

/// Reads the file over a mapping and passes over the bytes of its weights, so that a file of any size takes
/// little time and memory. Throws Error(checkpoint) where it is no ONNX model.
ModelSummary read_model_summary(const std::filesystem::path& file);

}  // namespace onnxport

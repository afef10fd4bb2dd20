// SPDX-License-Identifier: Apache-2.0
// Writing a model: protocol-buffer pieces and streamed weights at offsets that are known before the first byte.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/export.hpp"
#include "core/onnx/model_proto.hpp"

namespace onnxport {

struct ModelFileOptions {
  std::filesystem::path folder;
  std::string model_file;      // "model.onnx"
  bool external_data = false;  // weights into model_file + "_data", page-aligned
  int threads = 0;             // 0: as many as cores
  Progress progress;
};

/// Bytes that write_model() will write, by file, before it writes any. Throws Error(usage) where a single file
/// would be above protobuf's 2 GB.
std::vector<ExportedFile> plan_model(const ModelParts& parts, const ModelFileOptions& options);

/// Writes the files. Weights below 1 KB stay in the model file with external data too. Same parts, same bytes.
std::vector<ExportedFile> write_model(const ModelParts& parts, const ModelFileOptions& options);

}  // namespace onnxport

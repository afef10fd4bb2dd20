// SPDX-License-Identifier: Apache-2.0
// A finished ONNX file, whoever wrote it, as something to write again.
#pragma once

#include <filesystem>

#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// A file's model, with initializers of a kilobyte and more apart as views of the files that hold them: nothing of
/// these is read. Tensors in nodes, and in graphs within the graph, are in the messages.
struct ReadModel {
  ModelParts parts;
  bool has_external_data = false;
};

/// Throws Error(checkpoint) where the file is no ONNX model, and where external data is missing, too short, or outside
/// of the model's folder.
ReadModel read_model(const std::filesystem::path& file);

}  // namespace onnxport

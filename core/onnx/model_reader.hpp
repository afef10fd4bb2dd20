// SPDX-License-Identifier: Apache-2.0
// Reading a finished ONNX file, whoever wrote it, with its weights as views of the files that hold them.
#pragma once

#include <filesystem>
#include <vector>

#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// A file's model, with initializers of a kilobyte and more apart: nothing of these is read. Those in graphs within the
/// graph stay where they are. Throws Error(checkpoint) where the file is no ONNX model, and where external data is
/// missing, too short, or outside of the model's folder.
struct ReadModel {
  ModelParts parts;
  bool has_external_data = false;
};
ReadModel read_model(const std::filesystem::path& file);

}  // namespace onnxport

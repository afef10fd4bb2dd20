// SPDX-License-Identifier: Apache-2.0
// Which file a user means who names a model.
#pragma once

#include <filesystem>

namespace onnxport {

/// The file itself, or a folder's model.onnx, or its only .onnx file. Throws Error(checkpoint) where there is none, and
/// where a folder holds several, listing them.
std::filesystem::path model_path(const std::filesystem::path& named);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What became of a file.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/onnx/exported_file.hpp"
#include "core/transform/transform.hpp"
#include "core/validate/validate.hpp"
#include "host/process/console.hpp"

namespace onnxport {

struct TransformedFile {
  std::filesystem::path from, model_file;
  Transformed done;
  std::vector<ExportedFile> files;
  std::optional<ValidationReport> validation;  // against the file that was read
};

void print_text(const TransformedFile& file, Console& console);
void fill_json(const TransformedFile& file, Json& json);

}  // namespace onnxport

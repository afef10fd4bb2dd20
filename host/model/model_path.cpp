// SPDX-License-Identifier: Apache-2.0
#include "host/model/model_path.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "core/error.hpp"

namespace onnxport {

namespace fs = std::filesystem;

fs::path model_path(const fs::path& named) {
  std::error_code ignored;
  if (!fs::exists(named, ignored))
    throw Error(Failure::checkpoint, "there is no file " + named.string(), "name the .onnx file of an export");
  if (!fs::is_directory(named, ignored)) return named;
  if (fs::exists(named / "model.onnx", ignored)) return named / "model.onnx";
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(named, ignored)) {
    if (entry.path().extension() == ".onnx") files.push_back(entry.path().filename().string());
  }
  std::sort(files.begin(), files.end());
  if (files.size() == 1) return named / files[0];
  if (files.empty()) {
    throw Error(Failure::checkpoint, "there is no .onnx file in " + named.string(),
                "name the folder of an export, or its .onnx file");
  }
  throw Error(Failure::checkpoint, fmt::format("{} holds several models", named.string()),
              fmt::format("name one of {}", fmt::join(files, ", ")));
}

}  // namespace onnxport

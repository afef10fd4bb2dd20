// SPDX-License-Identifier: Apache-2.0
// What became of a TorchScript module.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/export/export.hpp"
#include "host/process/console.hpp"

namespace onnxport {

struct ImportedFile {
  std::filesystem::path from, folder;
  int64_t opset = 0;
  ExportedGraph graph;
  std::vector<ExportedFile> files;  // by their names below the folder
  std::map<std::string, std::string> tied;
};

void print_text(const ImportedFile& file, Console& console);
void fill_json(const ImportedFile& file, nlohmann::ordered_json& json);

}  // namespace onnxport

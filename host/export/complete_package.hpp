// SPDX-License-Identifier: Apache-2.0
// What a package has besides its graphs and the checkpoint's own files.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "host/export/write_export.hpp"
#include "host/plan/package.hpp"

namespace onnxport {

struct PackageToComplete {
  const Package& package;
  const std::vector<std::filesystem::path>& plugin_folders;  // of the plugin that defines the model
  std::filesystem::path staging;                             // with graphs and companions in it
  std::function<Json()> facts;                               // what templates are told of `written` as it is then
  /// Writes graphs of an included package alone, which it cannot share with the others, lists their files, and yields
  /// what its templates are told then. Null where nothing is known but files.
  std::function<Json(const std::string& package, WrittenExport& written)> own_graphs{};
};

/// Makes tokenizer.json where the package wants one and there is none, and the files of its templates, and lists them.
/// Throws as build_tokenizer() and write_package_files().
void complete_package(const PackageToComplete& folder, WrittenExport& written);

}  // namespace onnxport

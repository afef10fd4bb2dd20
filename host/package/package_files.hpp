// SPDX-License-Identifier: Apache-2.0
// The files that a package's templates make.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/plan/package.hpp"

namespace onnxport {

/// What a package's files are made of, and where.
struct PackageToWrite {
  const std::vector<PackageFile>& files;
  /// Folders of the plugin that defines the model; what one adds lies in packages/PACKAGE/TEMPLATE there.
  const std::vector<std::filesystem::path>& plugin_folders;
  const Json& exported;  // exported_facts()
  std::filesystem::path staging;
  bool has_own_graphs = false;  // whether a package whose template wants graphs of its own can have them
};

/// What was made of it.
struct PackageFiles {
  std::vector<std::filesystem::path> written;  // below the folder; those that were there and have changed included
  std::vector<std::string> left_out;           // sentences: which file, and why the model is none for it
  /// Those of packages that have graphs of their own, from the first on whose template asked for these.
  std::vector<PackageFile> of_own_graphs;
};

/// Writes them. Throws Error(usage) with the template's reason where it refuses the model, Error(plugin) where it
/// fails, and Error(output) where a file cannot be written.
PackageFiles write_package_files(const PackageToWrite& package);

}  // namespace onnxport

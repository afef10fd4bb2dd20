// SPDX-License-Identifier: Apache-2.0
// The original model as TorchScript, as it was named.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace onnxport {

struct DepthArguments;

struct ScriptReference {
  std::filesystem::path file;
  /// What the module calls the definition's inputs and outputs that it has other names for.
  std::map<std::string, std::string> inputs{}, outputs{};
};

/// What is named, each with the file of names, which is read. Throws Error(usage) where a file is missing, or that of
/// names is none.
std::vector<ScriptReference> script_references(const DepthArguments& depth);

}  // namespace onnxport

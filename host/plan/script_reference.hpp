// SPDX-License-Identifier: Apache-2.0
// The original model as TorchScript, as it was named.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace onnxport {

struct DepthArguments;

struct ScriptReference {
  std::filesystem::path file;
  /// What the module calls the definition's inputs and outputs that it has other names for.
  std::map<std::string, std::string> inputs{}, outputs{};
};

/// Reads the file of names. Nothing where no reference is named. Throws Error(usage) where a file is missing, or that
/// of names is none.
std::optional<ScriptReference> script_reference(const DepthArguments& depth);

}  // namespace onnxport

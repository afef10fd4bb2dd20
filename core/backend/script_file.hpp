// SPDX-License-Identifier: Apache-2.0
// A model in the words of the library that it was made with: what nobody here wrote, and so a judge of definitions.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor/tensor.hpp"

namespace onnxport {

/// A TorchScript module, and what a definition calls that which its forward() takes and yields.
struct ScriptFile {
  std::filesystem::path file;
  /// The definition's, in its order.
  std::vector<std::string> inputs, outputs;
  /// By the definition's names: arguments of forward(), and keys of a dictionary that it returns, with another name.
  std::map<std::string, std::string> input_names{}, output_names{};
};

/// What a module of a model yields.
struct ModuleResult {
  std::string module;  // "bert.encoder.layer.0.attention"
  ir::Tensor value;
};

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What each module within a TorchScript module yields.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>
#include <vector>

#include "core/backend/script_file.hpp"

namespace onnxport::reference {

/// forward() with the calls of modules in place, and what each of them yields as a further output.
class UnfoldedScript {
 public:
  explicit UnfoldedScript(const torch::jit::Module& module);

  /// In the order in which the calls are done.
  std::vector<ModuleResult> run(const torch::jit::Module& module, std::vector<c10::IValue> arguments) const;

 private:
  struct Called {
    std::string path;
    std::vector<torch::jit::Value*> yields;
    torch::jit::Node* after;
  };
  void finish(std::vector<Called>& called);

  std::shared_ptr<torch::jit::Graph> graph_;
  std::vector<std::string> paths_;
  std::vector<torch::jit::Value*> values_;
};

}  // namespace onnxport::reference

// SPDX-License-Identifier: Apache-2.0
// A TorchScript module as a description of what it computes.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>

#include "core/backend/script_graph.hpp"

namespace onnxport::reference {

/// forward() with the calls of methods and functions in place. The tensors keep the module. Throws Error(usage) where
/// it has something that the description has no words for; `file` is for messages.
ScriptGraph describe_script(const std::shared_ptr<torch::jit::Module>& module, const std::string& file);

}  // namespace onnxport::reference

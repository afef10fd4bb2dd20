// SPDX-License-Identifier: Apache-2.0
// TorchScript modules, as torch.jit.trace() and torch.jit.script() make them of an original.
#pragma once

#include <memory>
#include <string>

#include "core/backend/backend.hpp"

namespace onnxport::reference {

/// As Backend::load_script() says. `version` is for messages: "libtorch 1.13.0".
std::unique_ptr<ScriptedModel> open_script(const ScriptFile& script, const std::string& version);
/// As Backend::read_script() says.
ScriptGraph read_script(const std::filesystem::path& file, const std::string& version);

}  // namespace onnxport::reference

// SPDX-License-Identifier: Apache-2.0
// What a folder holds that looks like a checkpoint and is another thing: an adapter, quantized weights, a wrapper's
// names.
#pragma once

#include <filesystem>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// Of a folder without config.json: throws Error(checkpoint) that says what it is where that is known (an adapter, a
/// GGUF file), and does nothing else.
void explain_missing_config(const std::filesystem::path& folder);

/// Throws Error(checkpoint) that says what the checkpoint is and what to do, before anybody looks for tensors: where
/// config.json states quantized weights, where every tensor has a wrapper's prefix (DataParallel, torch.compile, PEFT),
/// or where matrices of LoRA lie among the weights, unmerged.
void refuse_other_kinds(const Checkpoint& checkpoint);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What looks like a checkpoint by its files and is another thing by what is in them: another library's config,
// quantized weights, a wrapper's names, an adapter's parts.
#pragma once

#include <filesystem>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// Of a config.json without a model_type: throws Error(checkpoint) that says whose it is where that is known, and does
/// nothing else. `file` is for the message.
void explain_other_config(const Json& config, const std::filesystem::path& file);

/// Throws Error(checkpoint) that says what the checkpoint is and what to do, before anybody looks for tensors: where
/// config.json, a file beside it or tensors tell of quantized weights, where every tensor has a wrapper's prefix
/// (DataParallel, torch.compile, PEFT) or modules within are wrapped, or where parts of an adapter lie among the
/// weights, unmerged.
void refuse_other_kinds(const Checkpoint& checkpoint);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What a folder holds that looks like a checkpoint and is another thing: an adapter, a wrapper's names, the files of
// another program.
#pragma once

#include <filesystem>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// Of a folder without config.json: throws Error(checkpoint) that says what it is where that is known (an adapter, a
/// GGUF file, a pipeline of several models), and does nothing else.
void explain_missing_config(const std::filesystem::path& folder);

/// Of a config.json without a model_type: throws Error(checkpoint) that says whose it is where that is known, and does
/// nothing else. `file` is for the message.
void explain_other_config(const Json& config, const std::filesystem::path& file);

/// Of a folder with config.json and no weights that are read: throws Error(checkpoint) that names what is there instead
/// where that is known (an adapter, shards without their index, another program's files), and does nothing else.
void explain_missing_weights(const std::filesystem::path& folder);

/// Throws Error(checkpoint) that says what the checkpoint is and what to do, before anybody looks for tensors: where
/// config.json, a file beside it or tensors tell of quantized weights, where every tensor has a wrapper's prefix
/// (DataParallel, torch.compile, PEFT), or where parts of an adapter lie among the weights, unmerged.
void refuse_other_kinds(const Checkpoint& checkpoint);

}  // namespace onnxport

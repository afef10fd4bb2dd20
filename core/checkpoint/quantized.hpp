// SPDX-License-Identifier: Apache-2.0
// Checkpoints of quantized weights, told by config.json, by files beside it, and by the names and types of tensors.
#pragma once

#include <filesystem>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// Throws Error(checkpoint) where config.json says that the weights are quantized, with the method that it names.
/// `folder` is for the message.
void refuse_quantized_config(const Json& config, const std::filesystem::path& folder);

/// The same, and where a file beside config.json or tensors say so.
void refuse_quantized(const Checkpoint& checkpoint);

}  // namespace onnxport

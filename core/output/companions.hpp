// SPDX-License-Identifier: Apache-2.0
// The tokenizer and config files that runtimes look for beside a model.
#pragma once

#include <filesystem>
#include <vector>

namespace onnxport {

/// Whether a file of a checkpoint is a companion, by its path relative to the checkpoint.
bool is_companion(const std::filesystem::path& file);

/// The companions in a checkpoint folder, relative to it, in order of name: tokenizer, vocabulary, configs of the
/// model, of generation and of the processors, chat templates, and what sentence-transformers keeps (modules.json and
/// the folders 1_Pooling, 2_Dense, …). Weights and training files are none.
std::vector<std::filesystem::path> companion_files(const std::filesystem::path& checkpoint);

/// Copies them and returns what was copied. Throws Error(output) or Error(checkpoint), by which side failed.
std::vector<std::filesystem::path> copy_companions(const std::filesystem::path& checkpoint,
                                                   const std::filesystem::path& folder);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// What a path names in place of a checkpoint's folder, by the names of files: another program's, or a part of one.
#pragma once

#include <filesystem>
#include <string>

namespace onnxport {

/// Of a folder without config.json: throws Error(checkpoint) that says what it is where that is known (an adapter, a
/// GGUF file, a pipeline of several models, a tokenizer, a folder around the checkpoint's), and does nothing else.
void explain_missing_config(const std::filesystem::path& folder);

/// Of a folder with config.json and no weights that are read: throws Error(checkpoint) that names what is there instead
/// where that is known (an adapter, shards without their index, another program's files), and does nothing else.
void explain_missing_weights(const std::filesystem::path& folder);

/// Of a folder with weights: a note where an adapter lies beside them, of which nothing is exported; else empty.
std::string note_of_adapter(const std::filesystem::path& folder);

/// Of a file that stands where a folder is expected: throws Error(checkpoint) that says what it is by its name, and
/// what to name instead.
[[noreturn]] void refuse_file(const std::filesystem::path& file);

}  // namespace onnxport

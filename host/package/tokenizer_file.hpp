// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, which most programs that run models read, of checkpoints that have a vocabulary alone.
#pragma once

#include <filesystem>
#include <string>

namespace onnxport {

inline constexpr const char* tokenizer_file = "tokenizer.json";

struct BuiltTokenizer {
  bool is_built = false;
  std::string left_out{};  // why it is not, where the folder has a vocabulary and no tokenizer.json
};

/// Writes tokenizer.json into a folder that has none, of its vocabulary (vocab.txt; vocab.json and merges.txt) and its
/// tokenizer_config.json, by the template packages/tokenizers. Throws Error(checkpoint) for files that are not what
/// their names say, and Error(output) where it cannot be written.
BuiltTokenizer build_tokenizer(const std::filesystem::path& folder);

}  // namespace onnxport

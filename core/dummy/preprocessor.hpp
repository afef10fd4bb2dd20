// SPDX-License-Identifier: Apache-2.0
// What dummy inputs need to know of a checkpoint's tokenizer and image processor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

namespace onnxport {

/// Read from the files beside config.json; nothing here tokenizes text.
struct Preprocessor {
  /// Special tokens around one text and around a pair, e.g. [CLS] … [SEP]; content goes between.
  std::vector<int64_t> before, between, after;
  bool pair_defined = false;
  std::optional<int64_t> unk, pad;
  /// Ids that are special tokens, to be avoided as content.
  std::vector<int64_t> special;
  bool pads_left = false;
  /// Size of the images that preprocessor_config.json makes.
  std::optional<int64_t> image_height, image_width, channels;
  /// What black and white become in each channel; empty where that is not told.
  std::vector<std::pair<float, float>> pixel_range;

  /// Reads tokenizer.json, tokenizer_config.json, special_tokens_map.json, vocab.txt and preprocessor_config.json, as
  /// far as they are there; nullopt where there is neither a tokenizer nor an image processor. Throws Error(checkpoint)
  /// for files that are broken.
  static std::optional<Preprocessor> from_folder(const std::filesystem::path& folder);
};

}  // namespace onnxport

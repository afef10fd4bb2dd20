// SPDX-License-Identifier: Apache-2.0
// What can be asked of dummy inputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace onnxport {

/// At which end rows of varied texts are padded.
enum class Padding {
  usual,  ///< where the tokenizer does it
  left,
  right,
  both,  ///< the second row where it is usual, the third at the other end, with a single token
  none,
};

/// What generate_dummy_inputs() is asked for. -1 takes the default (batch 2, sequence 8, choices 4).
struct DummyOptions {
  int64_t batch_size = -1;
  int64_t seq_length = -1;
  int64_t num_choices = -1;
  /// Of images; -1 takes what the image processor makes, else config.json's image_size, else 224.
  int64_t image_height = -1, image_width = -1;
  /// Lengths of axes by their symbols, before anything else that tells of them.
  std::map<std::string, int64_t> sizes{};
  bool is_pair = false;
  /// Tokens between the special ones: false repeats the tokenizer's unknown token, as transformers.onnx does; true
  /// draws them from the vocabulary, pads rows to different lengths and fills every segment, which tests more.
  bool varied = false;
  Padding padding = Padding::usual;
  uint64_t seed = 0;
};

}  // namespace onnxport

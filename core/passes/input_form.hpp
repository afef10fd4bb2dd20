// SPDX-License-Identifier: Apache-2.0
// What the inputs of a file are, other than the definition has them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace onnxport {

/// A number of tokens at the end of which alone the logits are wanted; 0 wants all. Of transformers.js.
inline constexpr const char* kept_logits_input = "num_logits_to_keep";

struct InputForm {
  /// Sizes of axes by their names.
  std::map<std::string, int64_t> fixed{};
  /// Ids, masks and other integers in 32 bits; numbers without axes stay as they are.
  bool int32 = false;
  /// Whether decoders take kept_logits_input.
  bool kept_logits = false;
  /// How many places the buffers have in which growing states are given and put out; 0: these grow themselves.
  int64_t max_sequence = 0;

  bool is_plain() const { return fixed.empty() && !int32 && !kept_logits && max_sequence == 0; }
};

}  // namespace onnxport

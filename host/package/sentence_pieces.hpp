// SPDX-License-Identifier: Apache-2.0
// The vocabulary of a sentencepiece model (tokenizer.model, spiece.model, …), a message of protocol buffers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace onnxport {

/// A piece of text that is one token, at the place that is its number.
struct Piece {
  enum class Kind : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  std::string text;
  float score = 0;
  Kind kind = Kind::normal;
};

/// What of ModelProto a tokenizer needs. Source: sentencepiece's sentencepiece_model.proto, whose defaults these are.
struct SentencePieces {
  enum class Model : uint8_t { unigram = 1, pairs = 2, words = 3, characters = 4 };
  std::vector<Piece> pieces;
  Model model = Model::unigram;
  int64_t unknown = 0, begin = 1, end = 2, padding = -1;  // numbers; -1: there is none
  bool bytes_where_unknown = false;
  std::string characters;      // how the normalizer replaces characters, compiled; empty: not at all
  bool adds_space = true;      // before the text
  bool removes_spaces = true;  // beside others, and at both ends
};

/// Throws Error(checkpoint) for what is no such file.
SentencePieces read_sentence_pieces(const std::filesystem::path& file);

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
// Beginnings of tensor names, of all layers at once: "blocks.{layer}.attn."
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace onnxport {

/// A beginning of names, in which a word in braces stands for a number: "blocks.{layer}." is the beginning of
/// "blocks.0.norm" and of "blocks.11.norm".
class NamePattern {
 public:
  /// Throws std::invalid_argument for a brace that is not closed, an empty word and a word that stands there twice.
  explicit NamePattern(std::string text);

  /// What a name has in the pattern's places, and behind it.
  struct Match {
    std::map<std::string, std::string> numbers;
    std::string rest;
    auto operator<=>(const Match&) const = default;  // NOLINT(modernize-use-nullptr): of what it compares with 0
  };
  /// Null where the name begins otherwise.
  std::optional<Match> match(std::string_view name) const;
  /// The name that has `match` in the places of this pattern. Its words are among those of the match.
  std::string fill(const Match& match) const;

  const std::string& text() const { return text_; }
  /// The words in braces, in order.
  const std::vector<std::string>& words() const { return words_; }
  /// Whether it is the beginning of every name of which the other one is.
  bool covers(const NamePattern& other) const;

 private:
  std::string text_;
  std::vector<std::string> literals_;  // one more than there are words
  std::vector<std::string> words_;
};

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "core/definition/name_pattern.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace onnxport {

NamePattern::NamePattern(std::string text) : text_(std::move(text)) {
  std::string_view left = text_;
  for (size_t open = left.find('{'); open != std::string_view::npos; open = left.find('{')) {
    const size_t close = left.find('}', open);
    if (close == std::string_view::npos)
      throw std::invalid_argument(fmt::format("'{}' has a brace that is not closed", text_));
    const std::string word(left.substr(open + 1, close - open - 1));
    if (word.empty()) throw std::invalid_argument(fmt::format("'{}' has braces without a word between them", text_));
    if (std::find(words_.begin(), words_.end(), word) != words_.end())
      throw std::invalid_argument(fmt::format("'{}' has {{{}}} twice", text_, word));
    literals_.emplace_back(left.substr(0, open));
    words_.push_back(word);
    left.remove_prefix(close + 1);
  }
  literals_.emplace_back(left);
}

std::optional<NamePattern::Match> NamePattern::match(std::string_view name) const {
  Match match;
  for (size_t i = 0; i < literals_.size(); ++i) {
    if (!name.starts_with(literals_[i])) return std::nullopt;
    name.remove_prefix(literals_[i].size());
    if (i == words_.size()) break;
    const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    if (digits == 0) return std::nullopt;
    match.numbers.emplace(words_[i], name.substr(0, digits));
    name.remove_prefix(digits);
  }
  match.rest = name;
  return match;
}

std::string NamePattern::fill(const Match& match) const {
  std::string name = literals_[0];
  for (size_t i = 0; i < words_.size(); ++i) name += match.numbers.at(words_[i]) + literals_[i + 1];
  return name + match.rest;
}

bool NamePattern::covers(const NamePattern& other) const {
  Match any;  // a number that nobody writes out
  for (const std::string& word : other.words_) any.numbers.emplace(word, "9182736450");
  return match(other.fill(any)).has_value();
}

}  // namespace onnxport

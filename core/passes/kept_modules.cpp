// SPDX-License-Identifier: Apache-2.0
#include "core/passes/kept_modules.hpp"

#include <algorithm>

namespace onnxport {
namespace {

constexpr char alone_mark = '=';

/// "wo" in "encoder.wo" and in "wo.0", not in "encoder.two".
bool is_part_of(const std::string& path, const std::string& part) {
  for (size_t at = path.find(part); at != std::string::npos; at = path.find(part, at + 1)) {
    const size_t end = at + part.size();
    if ((at == 0 || path[at - 1] == '.') && (end == path.size() || path[end] == '.')) return true;
  }
  return false;
}

bool add_missing(std::vector<std::string>& list, const std::vector<std::string>& others) {
  bool is_any_new = false;
  for (const std::string& other : others) {
    if (std::find(list.begin(), list.end(), other) != list.end()) continue;
    list.push_back(other);
    is_any_new = true;
  }
  return is_any_new;
}

}  // namespace

bool KeptModules::holds(const std::string& path) const {
  return std::find(alone.begin(), alone.end(), path) != alone.end() ||
         std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return is_part_of(path, part); });
}

bool KeptModules::add(const KeptModules& other) {
  const bool has_new_parts = add_missing(parts, other.parts);
  return add_missing(alone, other.alone) || has_new_parts;
}

std::vector<std::string> words_of(const KeptModules& kept) {
  std::vector<std::string> words = kept.parts;
  for (const std::string& path : kept.alone) words.push_back(alone_mark + path);
  return words;
}

KeptModules kept_modules_of(const std::vector<std::string>& words) {
  KeptModules kept;
  for (const std::string& word : words) {
    if (word.starts_with(alone_mark))
      kept.alone.push_back(word.substr(1));
    else
      kept.parts.push_back(word);
  }
  return kept;
}

}  // namespace onnxport

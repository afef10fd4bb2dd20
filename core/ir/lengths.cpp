// SPDX-License-Identifier: Apache-2.0
#include "core/ir/lengths.hpp"

#include <charconv>
#include <cmath>
#include <string_view>

namespace onnxport::ir {
namespace {

/// "(height + 31)" -> "height + 31"; what has no brackets around all of it stays.
std::string_view without_brackets(std::string_view text) {
  if (!text.starts_with('(') || !text.ends_with(')')) return text;
  int depth = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (depth == 0) return text;
  }
  return text.substr(1, text.size() - 2);
}

/// The last place of one of the characters outside of all brackets; npos where there is none.
size_t last_outside(std::string_view text, std::string_view wanted) {
  int depth = 0;
  for (size_t i = text.size(); i-- > 0;) {
    depth += text[i] == ')' ? 1 : text[i] == '(' ? -1 : 0;
    if (depth == 0 && wanted.find(text[i]) != std::string_view::npos) return i;
  }
  return std::string_view::npos;
}

/// The value of what Dim::to_string and its operators write: sums, products, quotients by floor(), in brackets.
std::optional<double> value_of(std::string_view text, const Lengths& known) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return std::nullopt;
  if (const auto found = known.find(std::string(text)); found != known.end()) return found->second;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return number;

  for (const std::string_view operators : {"+-", "*/"}) {
    const size_t at = last_outside(text, operators);
    if (at == std::string_view::npos || at == 0) continue;
    const auto left = value_of(text.substr(0, at), known), right = value_of(text.substr(at + 1), known);
    if (!left || !right) return std::nullopt;
    switch (text[at]) {
      case '+':
        return *left + *right;
      case '-':
        return *left - *right;
      case '*':
        return *left * *right;
      default:
        return *left / *right;
    }
  }
  constexpr std::string_view floor = "floor";
  if (text.starts_with(floor) && text.substr(floor.size()).starts_with('(')) {
    const auto inner = value_of(text.substr(floor.size()), known);
    return inner ? std::optional(std::floor(*inner)) : std::nullopt;
  }
  const std::string_view inner = without_brackets(text);
  return inner.size() < text.size() ? value_of(inner, known) : std::nullopt;
}

}  // namespace

std::optional<int64_t> length_of(const Dim& dim, const Lengths& known) {
  int64_t length = dim.constant();
  for (const auto& [symbol, factor] : dim.terms()) {
    const auto value = value_of(symbol, known);
    if (!value) return std::nullopt;
    length += factor * static_cast<int64_t>(*value);
  }
  return length;
}

std::optional<int64_t> element_count(const Shape& shape, const Lengths& known) {
  int64_t count = 1;
  for (const Dim& dim : shape) {
    const auto length = length_of(dim, known);
    if (!length) return std::nullopt;
    count *= *length;
  }
  return count;
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
#include "core/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace onnxport {
namespace {

struct Range {
  char32_t first, last;
};

/// What a terminal obeys or what hides or reorders other text: control characters (Cc), the format characters (Cf) that
/// no language needs in a name, and the separators of lines. Joiners (U+200C, U+200D) are letters' business and stay.
constexpr Range unsafe[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},        // C0, DEL and C1
    {0x61c, 0x61c},   {0x200e, 0x200f},    // direction marks
    {0x200b, 0x200b}, {0x2028, 0x202e},    // zero-width space; line separators, embeddings and overrides
    {0x2060, 0x206f}, {0xfeff, 0xfeff},    // invisible operators, isolates; byte order mark
    {0xfff9, 0xfffb}, {0xe0000, 0xe007f},  // interlinear annotation; tags
};

bool is_unsafe(char32_t point) {
  return std::any_of(std::begin(unsafe), std::end(unsafe),
                     [&](const Range& range) { return range.first <= point && point <= range.last; });
}

struct Character {
  char32_t point;
  size_t length;  // in bytes
};

/// The character at the beginning; none where the bytes are no UTF-8 (cut off, longer than needed, a surrogate half).
std::optional<Character> decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return Character{lead, 1};
  const size_t length = lead >= 0xf0 && lead <= 0xf4  ? 4
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                                                      : 0;
  if (length == 0 || length > text.size()) return std::nullopt;
  char32_t point = lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    point = point << 6 | (byte(i) & 0x3f);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
  if (point < least[length] || point > 0x10ffff || is_surrogate) return std::nullopt;
  return Character{point, length};
}

/// As it stands in a string of C.
std::string escaped(char32_t point) {
  switch (point) {
    case '\t':
      return "\\t";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    default:
      break;
  }
  const auto number = static_cast<uint32_t>(point);
  return number < 0x80      ? fmt::format("\\x{:02x}", number)
         : number < 0x10000 ? fmt::format("\\u{:04x}", number)
                            : fmt::format("\\U{:08x}", number);
}

/// As it stands in a string of JSON: units of UTF-16.
std::string escaped_in_json(char32_t point) {
  const auto number = static_cast<uint32_t>(point);
  if (number < 0x10000) return fmt::format("\\u{:04x}", number);
  return fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((number - 0x10000) >> 10), 0xdc00 + ((number - 0x10000) & 0x3ff));
}

template <class Escape>
std::string with_escapes(std::string_view text, bool keep_line_feeds, Escape escape) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::optional<Character> next = decode(text);
    const size_t length = next ? next->length : 1;
    if (!next)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (is_unsafe(next->point) && !(keep_line_feeds && next->point == '\n'))
      out += escape(next->point);
    else
      out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  return with_escapes(text, false, escaped);
}

std::string printable_lines(std::string_view text) {
  return with_escapes(text, true, escaped);
}

std::string printable_json(std::string_view document) {
  return with_escapes(document, true, escaped_in_json);
}

std::string shortened(std::string_view text) {
  constexpr size_t most = 2000;
  if (text.size() <= most) return std::string(text);
  return fmt::format("{}… ({} characters)", text.substr(0, most), text.size());
}

}  // namespace onnxport

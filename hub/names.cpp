// SPDX-License-Identifier: Apache-2.0
#include "hub/names.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/lower_case.hpp"

namespace onnxport::hub {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_id_part(std::string_view part) {
  if (part.empty() || part.size() > 96 || !is_word(part.front()) || !is_word(part.back())) return false;
  return std::all_of(part.begin(), part.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

}  // namespace

bool is_model_id(std::string_view text) {
  if (text.find("--") != text.npos || text.find("..") != text.npos || text.ends_with(".git")) return false;
  const size_t slash = text.find('/');
  if (slash == text.npos) return is_id_part(text);
  return is_id_part(text.substr(0, slash)) && is_id_part(text.substr(slash + 1));
}

std::string repository_folder(const std::string& id) {
  std::string name = "models--" + id;
  if (const size_t slash = name.find('/'); slash != name.npos) name.replace(slash, 1, "--");
  return name;
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '/' || c == '\\' || byte < 0x20 || byte == 0x7f;
  });
}

bool is_safe_path(std::string_view path) {
  for (;;) {
    const size_t slash = path.find('/');
    if (!is_safe_name(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

void require_revision(const std::string& revision) {
  if (is_safe_path(revision)) return;
  throw Error(Failure::usage, fmt::format("'{}' is no revision", revision),
              "--revision takes the name of a branch or tag, or a commit");
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    if (is_word(c) || c == '-' || c == '.' || c == '~' || kept.find(c) != kept.npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string origin_of(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == url.npos) return {};
  return lower_case(url.substr(0, url.find_first_of("/?#", scheme + 3)));
}

}  // namespace onnxport::hub

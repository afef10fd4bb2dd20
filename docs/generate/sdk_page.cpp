// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/sdk_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

#include "docs/generate/header_reader.hpp"
#include "docs/generate/section.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// A struct's values in one line: "out, bias".
std::string values_of(const Offered& type) {
  std::string names;
  for (const Offered& member : type.members) {
    if (member.kind == Offered::Kind::other && !member.text.starts_with("using ") && !member.text.starts_with("enum "))
      names += (names.empty() ? "" : ", ") + member.name;
  }
  return names;
}

void add_lines(const std::vector<Offered>& offered, const std::string& indent, std::string& text) {
  std::string before;  // the name of the line above
  for (const Offered& one : offered) {
    // Of several forms of a function, those with something to say and the first; constants go by their comments.
    const bool is_further_form = one.doc.empty() && one.name == before;
    const bool is_value = one.kind == Offered::Kind::other && one.doc.empty();
    if (is_further_form || is_value) continue;
    before = one.name;
    const std::string values = one.kind == Offered::Kind::type ? values_of(one) : "";
    text += fmt::format("{}- `{}{}`{}{}\n", indent, one.text, values.empty() ? "" : fmt::format(" {{{}}}", values),
                        one.doc.empty() ? "" : ": ", one.doc);
    std::vector<Offered> functions;
    std::copy_if(one.members.begin(), one.members.end(), std::back_inserter(functions),
                 [](const Offered& member) { return member.kind != Offered::Kind::other; });
    add_lines(functions, indent + "  ", text);
  }
}

}  // namespace

std::string offers_of_header(const std::string& name, const std::string& text) {
  const Header header = read_header(text);
  std::string lines;
  add_lines(header.offered, "", lines);
  if (lines.empty()) return {};
  return fmt::format("## `<{}>`\n\n{}\n\n{}", name, header.about, lines);
}

std::string sdk_page(const std::string& present_page, const fs::path& include) {
  std::vector<fs::path> headers;
  for (const auto& entry : fs::recursive_directory_iterator(include)) {
    if (entry.path().extension() == ".hpp") headers.push_back(entry.path());
  }
  // What every plugin includes first, then blocks and families.
  std::sort(headers.begin(), headers.end(), [](const fs::path& a, const fs::path& b) {
    const auto depth = [](const fs::path& path) { return std::distance(path.begin(), path.end()); };
    return std::pair(depth(a), a) < std::pair(depth(b), b);
  });
  std::string text;
  for (const fs::path& header : headers) {
    std::ifstream file(header);
    const std::string read((std::istreambuf_iterator<char>(file)), {});
    const std::string lines = offers_of_header(header.lexically_relative(include).generic_string(), read);
    if (!lines.empty()) text += (text.empty() ? "" : "\n") + lines;
  }
  return with_section(present_page, "headers", text);
}

}  // namespace onnxport

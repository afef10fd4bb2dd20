// SPDX-License-Identifier: Apache-2.0
#include "registry/trust_edit.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

/// Written beside and renamed, so that a policy is never half there. It must be one that read() takes.
void replace(const fs::path& file, const std::string& text) {
  std::error_code reason;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), reason);
  if (reason) throw output_error("cannot create the folder", file.parent_path(), reason.value());
  const fs::path beside = fmt::format("{}.{}", file.string(), ::getpid());
  std::ofstream out(beside, std::ios::binary);
  out << text;
  if (!out.flush()) throw output_error("cannot write", beside, errno);
  out.close();
  fs::permissions(
      beside, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read | fs::perms::others_read, reason);
  try {
    TrustPolicy::read(beside);
    fs::rename(beside, file);
  } catch (...) {
    fs::remove(beside, reason);
    throw;
  }
}

std::string in_quotes(const std::string& text) {
  return "\"" + text + "\"";
}

/// The node of the list, and the line of its key; null where the policy has no such list.
const yaml::Node* list_in(const yaml::Node& root, std::string_view key) {
  for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
    if (root.items[i].text == key) return &root.items[i + 1];
  }
  return nullptr;
}

[[noreturn]] void cannot_change(const fs::path& file, std::string_view list, const std::string& entry) {
  throw Error(
      Failure::usage,
      fmt::format("{}: its list '{}' is written in a way that is not changed by a program", file.string(), list),
      fmt::format("add {} to it by hand", entry));
}

bool begins_with_dash(const std::string& line) {
  const size_t first = line.find_first_not_of(' ');
  return first != std::string::npos && line[first] == '-';
}

}  // namespace

bool add_to_policy(const fs::path& file, const TrustEntry& entry) {
  const std::string_view list = list_of(entry.rule);
  const std::string text = yaml::read_text(file), quoted = in_quotes(entry.text);
  const yaml::Node root = yaml::parse(text, file);
  const yaml::Node* node = list_in(root, list);
  const std::string comment = entry.comment.empty() ? "" : "  # " + entry.comment;
  const auto is_there = [&](const yaml::Node& item) { return item.text == entry.text; };
  if (node != nullptr && std::any_of(node->items.begin(), node->items.end(), is_there)) return false;

  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (node == nullptr) {
    lines.push_back(fmt::format("{}:", list));
    lines.push_back(fmt::format("  - {}{}", quoted, comment));
  } else if (!node->items.empty() && begins_with_dash(lines[static_cast<size_t>(node->items.back().line) - 1])) {
    // One entry a line: another line like the last.
    const auto last = static_cast<size_t>(node->items.back().line);
    const std::string indent = lines[last - 1].substr(0, lines[last - 1].find('-'));
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(last), fmt::format("{}- {}{}", indent, quoted, comment));
  } else {
    // All in brackets: before the one that closes.
    const auto at = static_cast<size_t>(node->line) - 1;
    const size_t open = lines[at].find('['), close = lines[at].find(']');
    if (open == std::string::npos || close == std::string::npos || lines[at].find('#') < close)
      cannot_change(file, list, quoted);
    lines[at].insert(close, (node->items.empty() ? "" : ", ") + quoted);
  }
  std::string changed;
  for (const std::string& line : lines) changed += line + "\n";
  replace(file, changed);
  return true;
}

void make_policy(const fs::path& file, const std::vector<fs::path>& folders) {
  std::string text =
      "# Made by `onnxport plugins trust`. Code is loaded only where something of it is listed here.\n"
      "require: known\ndirectories:\n";
  for (const fs::path& folder : folders) text += fmt::format("  - {}\n", in_quotes(folder.string()));
  replace(file, text);
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "registry/known_texts.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <optional>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "core/files/cache_file.hpp"
#include "core/version.hpp"
#include "registry/file_safety.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;
using yaml::Node;

/// Another version may make other nodes of a text.
std::string heading() {
  return fmt::format("onnxport {}, form 3", version);
}

/// The file stays below what read_text() takes.
constexpr size_t most_bytes = 900'000, longest_text = 4096;

// All numbers are varints. The file: its heading, then each text and its row, all of these with their lengths before
// them. A row is a node: a number for its line, its kind and whether it is quoted, then how many bytes its text has and
// these, or how many items and these.
constexpr uint32_t kinds = 4, forms = 2 * kinds;
constexpr int deepest = 100;  // the parser allows fewer

CodedInputStream reader_of(std::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
}

void write(const Node& node, CodedOutputStream& out) {
  out.WriteVarint32(static_cast<uint32_t>(node.line) * forms + (node.quoted ? kinds : 0) +
                    static_cast<uint32_t>(node.kind));
  out.WriteVarint32(static_cast<uint32_t>(node.items.empty() ? node.text.size() : node.items.size()));
  out.WriteString(node.text);
  for (const Node& item : node.items) write(item, out);
}

std::string row_of(const Node& node) {
  std::string row;
  StringOutputStream bytes(&row);
  CodedOutputStream out(&bytes);
  write(node, out);
  out.Trim();
  return row;
}

/// Whether there is a node at this place.
bool read(CodedInputStream& row, int left, Node& node, int depth = 0) {
  uint32_t head = 0, size = 0;
  if (depth == deepest || !row.ReadVarint32(&head) || !row.ReadVarint32(&size)) return false;
  if (size > static_cast<uint32_t>(left)) return false;
  node.kind = static_cast<Node::Kind>(head % kinds);
  node.quoted = head % forms >= kinds;
  node.line = static_cast<int>(head / forms);
  if (node.kind == Node::Kind::scalar || node.kind == Node::Kind::null)
    return row.ReadString(&node.text, static_cast<int>(size));
  node.items.resize(size);
  for (Node& item : node.items) {
    if (!read(row, left, item, depth + 1)) return false;
  }
  return true;
}

std::optional<Node> node_of(std::string_view bytes) {
  CodedInputStream row = reader_of(bytes);
  Node node;
  const auto size = static_cast<int>(bytes.size());
  if (!read(row, size, node) || row.CurrentPosition() != size) return std::nullopt;
  return node;
}

void write(std::string_view bytes, CodedOutputStream& out) {
  out.WriteVarint32(static_cast<uint32_t>(bytes.size()));
  out.WriteRaw(bytes.data(), static_cast<int>(bytes.size()));
}

/// What is written next, where it is there.
std::optional<std::string_view> next(CodedInputStream& in, std::string_view whole) {
  uint32_t size = 0;
  if (!in.ReadVarint32(&size)) return std::nullopt;
  const auto begin = static_cast<size_t>(in.CurrentPosition());
  if (size > whole.size() - begin || !in.Skip(static_cast<int>(size))) return std::nullopt;
  return whole.substr(begin, size);
}

}  // namespace

KnownTexts::KnownTexts(fs::path file) : file_(std::move(file)) {
  std::error_code absent;
  if (!fs::exists(file_, absent) || check_writers(file_)) return;
  try {
    kept_ = yaml::read_text(file_);
  } catch (const Error&) {  // it will be written anew
    return;
  }
  CodedInputStream in = reader_of(kept_);
  if (next(in, kept_) != heading()) return;
  while (const auto text = next(in, kept_)) {
    if (const auto row = next(in, kept_)) known_.emplace(*text, *row);
  }
}

Node KnownTexts::read(const std::string& text, const fs::path& file) {
  if (file_.empty() || text.size() > longest_text) return yaml::parse(text, file);
  if (const auto found = known_.find(text); found != known_.end()) {
    if (std::optional<Node> node = node_of(found->second)) {
      const std::lock_guard lock(mutex_);
      used_.insert(found->first);
      return std::move(*node);
    }
  }
  Node node = yaml::parse(text, file);
  std::string row = row_of(node);
  const std::lock_guard lock(mutex_);
  news_.emplace(text, std::move(row));
  return node;
}

void KnownTexts::save() const {
  if (file_.empty() || news_.empty()) return;
  std::string whole;
  {
    StringOutputStream bytes(&whole);
    CodedOutputStream out(&bytes);
    write(heading(), out);
    const auto add = [&](std::string_view text, std::string_view row) {
      if (static_cast<size_t>(out.ByteCount()) + text.size() + row.size() > most_bytes) return;
      write(text, out);
      write(row, out);
    };
    for (const auto& [text, row] : news_) add(text, row);
    const auto keep = [&](bool used) {
      for (const auto& [text, row] : known_) {
        if (used_.contains(text) == used && !news_.contains(std::string(text))) add(text, row);
      }
    };
    keep(true);
    // Another start may look elsewhere: what it read stays, as long as that is not ever more.
    keep(false);
  }
  leave_in_cache(file_, whole);
}

}  // namespace onnxport

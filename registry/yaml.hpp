// SPDX-License-Identifier: Apache-2.0
// Strict reading of the small YAML files of this program: every mistake is an error with file and line.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace onnxport::yaml {

/// One node with the line it stands on. A map's items alternate between keys and values.
struct Node {
  enum class Kind { null, scalar, sequence, map };
  Kind kind = Kind::null;
  int line = 1;
  std::string text;
  std::vector<Node> items;
  bool quoted = false;  ///< of a scalar: what is in quotes is a text whatever it looks like
};

/// Throws Error(plugin) "FILE:LINE: what".
[[noreturn]] void fail(const std::filesystem::path& file, int line, const std::string& what);

/// Reads one document. Duplicate keys, anchors, tags, control characters and a second document are errors.
Node parse(const std::string& text, const std::filesystem::path& file);

/// A file's text. Throws Error(plugin) where it cannot be read, is no regular file or is larger than any such
/// file.
std::string read_text(const std::filesystem::path& file);

/// The text of a scalar, not empty; `what` names it in the message.
const std::string& string(const Node& node, const std::filesystem::path& file, std::string_view what);

/// A text without blanks: what is typed on a command line or compared with others.
const std::string& word(const Node& node, const std::filesystem::path& file, std::string_view what);

/// Whether a text has only characters that an id may have.
bool is_spelled_as_identifier(std::string_view text);

/// A reversed domain in lower case.
const std::string& identifier(const Node& node, const std::filesystem::path& file, std::string_view what);

/// The entries of a list of texts without repetitions; it may be empty only where `may_be_empty`.
std::vector<std::string> strings(const Node& node, const std::filesystem::path& file, std::string_view what,
                                 bool may_be_empty = false);

/// Reads the keys of a map one by one; those that are left over are unknown.
class Map {
 public:
  Map(const Node& node, const std::filesystem::path& file, std::string_view what);
  /// The value of `key`, or null where it is absent.
  const Node* optional(std::string_view key);
  /// The value of `key`; its absence is an error.
  const Node& required(std::string_view key);
  /// Throws for the first key that nobody asked for; the message names the keys that were asked for.
  void finish() const;
  const Node& node() const { return node_; }

 private:
  const Node& node_;
  const std::filesystem::path& file_;
  std::string what_;
  std::vector<std::string_view> known_;
};

}  // namespace onnxport::yaml

// SPDX-License-Identifier: Apache-2.0
#include "registry/yaml.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/error.hpp"

namespace onnxport::yaml {
namespace {

constexpr std::uintmax_t largest_file = 1 << 20;
constexpr size_t longest_name = 128;
constexpr size_t deepest = 64;

/// A file that is closed at the end.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

int line_of(const YAML::Mark& mark) {
  return mark.line + 1;
}

/// Builds Nodes from the parser's events: cheaper than the parser's own tree, and a repeated key stays
/// visible.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(const std::filesystem::path& file) : file_(file) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(Node{Node::Kind::null, line_of(mark), {}, {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail(file_, line_of(mark), "aliases (*name) are not used in this file");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    for (const unsigned char c : value) {
      if (c < 0x20 || c == 0x7f) fail(file_, line_of(mark), "a text holds a control character or a line break");
    }
    add(Node{Node::Kind::scalar, line_of(mark), value, {}, tag == "!"});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::map);
  }
  void OnMapEnd() override { close(); }

  Node take() { return std::move(root_); }

 private:
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) fail(file_, line_of(mark), "anchors (&name) are not used in this file");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    // "?" is an untagged plain text, "!" a quoted one.
    if (!tag.empty() && tag != "?" && tag != "!") fail(file_, line_of(mark), "tags (!name) are not used in this file");
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (open_.size() == deepest) fail(file_, line_of(mark), fmt::format("nested deeper than {} levels", deepest));
    open_.push_back(Node{kind, line_of(mark), {}, {}});
    lines_of_keys_.emplace_back();
  }
  void close() {
    Node node = std::move(open_.back());
    open_.pop_back();
    lines_of_keys_.pop_back();
    add(std::move(node));
  }
  void add(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Node& parent = open_.back();
    if (parent.kind == Node::Kind::map && parent.items.size() % 2 == 0) {
      if (node.kind != Node::Kind::scalar) fail(file_, node.line, "a key must be a text");
      const auto [known, is_new] = lines_of_keys_.back().emplace(node.text, node.line);
      if (!is_new)
        fail(file_, node.line, fmt::format("'{}' is given twice, first in line {}", node.text, known->second));
    }
    parent.items.push_back(std::move(node));
  }

  const std::filesystem::path& file_;
  std::vector<Node> open_;
  std::vector<std::unordered_map<std::string, int>> lines_of_keys_;  // of each of them
  Node root_;
};

const char* kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a text";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "";
}

void expect(const Node& node, Node::Kind kind, const std::filesystem::path& file, std::string_view what) {
  if (node.kind != kind) {
    fail(file, node.line, fmt::format("'{}' must be {}, found {}", what, kind_name(kind), kind_name(node.kind)));
  }
}

}  // namespace

void fail(const std::filesystem::path& file, int line, const std::string& what) {
  const char* page = file.filename() == "package.yaml" ? "packages" : "plugins";
  throw Error(Failure::plugin, fmt::format("{}:{}: {}", file.string(), line, what),
              fmt::format("correct the file; docs/{}.md gives the format", page));
}

Node parse(const std::string& text, const std::filesystem::path& file) {
  std::istringstream stream(text);
  Builder builder(file);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) fail(file, 1, "the file is empty");
    Builder second(file);
    if (parser.HandleNextDocument(second)) fail(file, second.take().line, "a second document; one is expected");
  } catch (const YAML::Exception& error) {
    fail(file, error.mark.is_null() ? 1 : line_of(error.mark), "not valid YAML: " + error.msg);
  }
  return builder.take();
}

std::string read_text(const std::filesystem::path& file) {
  const auto unreadable = [&](const std::string& why) -> Error {
    return {Failure::plugin, fmt::format("{}: cannot be read: {}", file.string(), why),
            "check the file and its permissions"};
  };
  // One look at what was opened, where a name may stand for another file by then. A pipe would be waited for.
  const Descriptor opened{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (opened.number < 0 || ::fstat(opened.number, &status) != 0) throw unreadable(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw unreadable("not a regular file");
  const auto size = static_cast<std::uintmax_t>(status.st_size);
  if (size > largest_file) throw unreadable(fmt::format("{} bytes, expected at most {}", size, largest_file));
  std::string text(size, '\0');
  for (size_t at = 0; at < size;) {
    const ssize_t count = ::read(opened.number, text.data() + at, size - at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw unreadable(count < 0 ? std::strerror(errno) : "the file became shorter");
    at += static_cast<size_t>(count);
  }
  return text;
}

const std::string& string(const Node& node, const std::filesystem::path& file, std::string_view what) {
  expect(node, Node::Kind::scalar, file, what);
  if (node.text.empty()) fail(file, node.line, fmt::format("'{}' is empty", what));
  return node.text;
}

const std::string& word(const Node& node, const std::filesystem::path& file, std::string_view what) {
  const std::string& text = string(node, file, what);
  if (text.find(' ') != std::string::npos)
    fail(file, node.line, fmt::format("'{}' is '{}', expected a name without blanks", what, text));
  if (text.size() > longest_name) {
    fail(file, node.line,
         fmt::format("'{}' has {} characters, expected a name of at most {}", what, text.size(), longest_name));
  }
  return text;
}

bool is_spelled_as_identifier(std::string_view text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string_view::npos;
}

const std::string& identifier(const Node& node, const std::filesystem::path& file, std::string_view what) {
  const std::string& id = word(node, file, what);
  if (!is_spelled_as_identifier(id) || id.find('.') == std::string::npos || id.front() == '.' || id.back() == '.') {
    fail(file, node.line,
         fmt::format("'{}' is '{}', expected a reversed domain in lower case such as org.example.name", what, id));
  }
  return id;
}

std::vector<std::string> strings(const Node& node, const std::filesystem::path& file, std::string_view what,
                                 bool may_be_empty) {
  expect(node, Node::Kind::sequence, file, what);
  if (node.items.empty() && !may_be_empty) fail(file, node.line, fmt::format("'{}' has no entry", what));
  std::vector<std::string> result;
  std::unordered_set<std::string_view> seen;
  const std::string entry = fmt::format("entry of {}", what);
  for (const Node& item : node.items) {
    const std::string& text = string(item, file, entry);
    if (!seen.insert(text).second) {
      fail(file, item.line, fmt::format("'{}' is listed twice in '{}'", text, what));
    }
    result.push_back(text);
  }
  return result;
}

Map::Map(const Node& node, const std::filesystem::path& file, std::string_view what)
    : node_(node), file_(file), what_(what) {
  expect(node, Node::Kind::map, file, what);
}

const Node* Map::optional(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  for (size_t i = 0; i + 1 < node_.items.size(); i += 2) {
    if (node_.items[i].text == key) return &node_.items[i + 1];
  }
  return nullptr;
}

const Node& Map::required(std::string_view key) {
  const Node* value = optional(key);
  if (value == nullptr) fail(file_, node_.line, fmt::format("'{}' is missing in {}", key, what_));
  return *value;
}

void Map::finish() const {
  for (size_t i = 0; i + 1 < node_.items.size(); i += 2) {
    const Node& key = node_.items[i];
    if (std::find(known_.begin(), known_.end(), key.text) == known_.end()) {
      fail(file_, key.line,
           fmt::format("unknown key '{}' in {}; known are {}", key.text, what_, fmt::join(known_, ", ")));
    }
  }
}

}  // namespace onnxport::yaml

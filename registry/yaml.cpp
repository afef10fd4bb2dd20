// SPDX-License-Identifier: Apache-2.0
#include "registry/yaml.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>
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

int line_of(const yaml_mark_t& mark) {
  return static_cast<int>(mark.line) + 1;
}

/// libyaml's parser over a text that outlives it. A C library of events: with hundreds of manifests read at every
/// start, what a parser costs is most of what starting takes, and a tree of its own would hide a repeated key.
class Events {
 public:
  Events(const std::string& text, const std::filesystem::path& file) : text_(text), file_(file) {
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  ~Events() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  /// The next one, until another is asked for.
  const yaml_event_t& next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 0) fail_as_told();
    return event_;
  }

 private:
  [[noreturn]] void fail_as_told() const {
    if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
    std::string what = "not valid YAML: " + std::string(parser_.problem != nullptr ? parser_.problem : "unknown error");
    // Of what cannot be read no line is told.
    if (parser_.error == YAML_READER_ERROR) fail(file_, line_at(parser_.problem_offset), what);
    if (parser_.context != nullptr)
      what += fmt::format(" {}, which begins in line {}", parser_.context, line_of(parser_.context_mark));
    // What misses an end is told behind the last line.
    fail(file_, std::min(line_of(parser_.problem_mark), line_at(text_.size() - 1)), what);
  }

  int line_at(size_t offset) const {
    const auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text_.size()));
    return static_cast<int>(std::count(text_.begin(), end, '\n')) + 1;
  }

  const std::string& text_;
  const std::filesystem::path& file_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
};

/// Builds Nodes from the events of one document.
class Builder {
 public:
  explicit Builder(const std::filesystem::path& file) : file_(file) {}

  void take_in(const yaml_event_t& event) {
    const int line = line_of(event.start_mark);
    switch (event.type) {
      case YAML_ALIAS_EVENT:
        fail(file_, line, "aliases (*name) are not used in this file");
      case YAML_SCALAR_EVENT:
        refuse(line, event.data.scalar.anchor, event.data.scalar.tag);
        add(scalar(event));
        break;
      case YAML_SEQUENCE_START_EVENT:
        refuse(line, event.data.sequence_start.anchor, event.data.sequence_start.tag);
        open(line, Node::Kind::sequence);
        break;
      case YAML_MAPPING_START_EVENT:
        refuse(line, event.data.mapping_start.anchor, event.data.mapping_start.tag);
        open(line, Node::Kind::map);
        break;
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        close();
        break;
      default:  // the begin and the end of a document
        break;
    }
  }

  Node take() { return std::move(root_); }

 private:
  void refuse(int line, const yaml_char_t* anchor, const yaml_char_t* tag) const {
    if (anchor != nullptr) fail(file_, line, "anchors (&name) are not used in this file");
    if (tag != nullptr) fail(file_, line, "tags (!name) are not used in this file");
  }
  Node scalar(const yaml_event_t& event) const {
    const int line = line_of(event.start_mark);
    const std::string_view value(reinterpret_cast<const char*>(event.data.scalar.value), event.data.scalar.length);
    for (const char c : value) {
      if ((c >= 0 && c < 0x20) || c == 0x7f) fail(file_, line, "a text holds a control character or a line break");
    }
    const bool quoted = event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    constexpr std::string_view nothing[] = {"", "~", "null", "Null", "NULL"};
    if (!quoted && std::find(std::begin(nothing), std::end(nothing), value) != std::end(nothing))
      return Node{Node::Kind::null, line, {}, {}};
    return Node{Node::Kind::scalar, line, std::string(value), {}, quoted};
  }
  void open(int line, Node::Kind kind) {
    if (open_.size() == deepest) fail(file_, line, fmt::format("nested deeper than {} levels", deepest));
    open_.push_back(Node{kind, line, {}, {}});
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
  throw Error(Failure::plugin, fmt::format("{}:{}: {}", file.string(), line, what),
              "correct the file; docs/plugins.md gives the format");
}

Node parse(const std::string& text, const std::filesystem::path& file) {
  Events events(text, file);
  Builder builder(file);
  bool has_document = false, ended = false;
  for (;;) {
    const yaml_event_t& event = events.next();
    if (event.type == YAML_STREAM_END_EVENT) break;
    if (ended && event.type != YAML_DOCUMENT_START_EVENT)
      fail(file, line_of(event.start_mark), "a second document; one is expected");
    has_document |= event.type == YAML_DOCUMENT_START_EVENT;
    ended |= event.type == YAML_DOCUMENT_END_EVENT;
    builder.take_in(event);
  }
  if (!has_document) fail(file, 1, "the file is empty");
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
  for (const Node& item : node.items) {
    const std::string& text = string(item, file, fmt::format("entry of {}", what));
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

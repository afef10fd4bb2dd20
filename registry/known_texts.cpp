// SPDX-License-Identifier: Apache-2.0
#include "registry/known_texts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
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
using Cbor = nlohmann::json;
using yaml::Node;

/// Another version may make other nodes of a text.
std::string heading() {
  return fmt::format("onnxport {}, form 2", version);
}

/// With those of a usual length the file stays well below what read_text() takes.
constexpr size_t most_texts = 1000, longest_text = 4096;

// A node is an array: a number for its line, its kind and whether it is quoted, then the text of a scalar, or the items
// of the others.
constexpr int kinds = 4, forms = 2 * kinds;
constexpr size_t deepest = 100;  // the parser allows fewer

Cbor row_of(const Node& node) {
  Cbor row = Cbor::array({node.line * forms + (node.quoted ? kinds : 0) + static_cast<int>(node.kind)});
  if (!node.text.empty()) row.push_back(node.text);
  for (const Node& item : node.items) row.push_back(row_of(item));
  return row;
}

std::vector<uint8_t> written(const Node& node) {
  return Cbor::to_cbor(row_of(node));
}

/// Makes a node of what is read of its row, without the row itself. Anything else than such a row ends it.
class NodeReader : public nlohmann::json_sax<Cbor> {
 public:
  Node take() { return std::move(root_); }

  bool start_array(size_t items) override {
    if (is_new_ || open_.size() == deepest) return false;
    is_new_ = true;
    open_.emplace_back();
    if (items > 1) open_.back().items.reserve(std::min(items - 1, longest_text));
    return true;
  }
  bool number_unsigned(uint64_t number) override {
    if (!is_new_) return false;
    is_new_ = false;
    open_.back().kind = static_cast<Node::Kind>(number % kinds);
    open_.back().quoted = number % forms >= kinds;
    open_.back().line = static_cast<int>(number / forms);
    return true;
  }
  bool string(std::string& text) override {
    if (is_new_ || open_.empty()) return false;
    open_.back().text = std::move(text);
    return true;
  }
  bool end_array() override {
    if (is_new_ || open_.empty()) return false;
    Node node = std::move(open_.back());
    open_.pop_back();
    (open_.empty() ? root_ : open_.back().items.emplace_back()) = std::move(node);
    return true;
  }

  bool null() override { return false; }
  bool boolean(bool) override { return false; }
  bool number_integer(int64_t) override { return false; }
  bool number_float(double, const std::string&) override { return false; }
  bool binary(Cbor::binary_t&) override { return false; }
  bool start_object(size_t) override { return false; }
  bool key(std::string&) override { return false; }
  bool end_object() override { return false; }
  bool parse_error(size_t, const std::string&, const Cbor::exception&) override { return false; }

 private:
  std::vector<Node> open_;  // each within the one before
  bool is_new_ = false;     // the last of them waits for its number
  Node root_;
};

std::optional<Node> node_of(const std::vector<uint8_t>& row) {
  NodeReader reader;
  if (!Cbor::sax_parse(row, &reader, Cbor::input_format_t::cbor)) return std::nullopt;
  return reader.take();
}

}  // namespace

KnownTexts::KnownTexts(fs::path file) : file_(std::move(file)) {
  std::error_code absent;
  if (!fs::exists(file_, absent) || check_writers(file_)) return;
  try {
    Cbor whole = Cbor::from_cbor(yaml::read_text(file_));
    if (whole.at("of") != heading()) return;
    std::map<std::string, Row> known;
    for (auto& [sum, row] : whole.at("texts").get_ref<Cbor::object_t&>())
      known.emplace(sum, std::move(static_cast<Row&>(row.get_binary())));
    known_ = std::move(known);
  } catch (const Error&) {  // it will be written anew
  } catch (const Cbor::exception&) {
  }
}

Node KnownTexts::read(const std::string& text, const fs::path& file) {
  if (file_.empty() || text.size() > longest_text) return yaml::parse(text, file);
  std::string sum = sha256_of_text(text);
  if (const auto found = known_.find(sum); found != known_.end()) {
    if (std::optional<Node> node = node_of(found->second)) {
      const std::lock_guard lock(mutex_);
      used_.insert(std::move(sum));
      return std::move(*node);
    }
  }
  Node node = yaml::parse(text, file);
  Row row = written(node);
  const std::lock_guard lock(mutex_);
  news_.emplace(std::move(sum), std::move(row));
  return node;
}

void KnownTexts::save() const {
  if (file_.empty() || news_.empty()) return;
  Cbor whole{{"of", heading()}, {"texts", Cbor::object()}};
  Cbor& texts = whole["texts"];
  for (const auto& [sum, row] : news_) texts[sum] = Cbor::binary(row);
  const auto keep = [&](bool used) {
    for (const auto& [sum, row] : known_) {
      if (texts.size() < most_texts && used_.contains(sum) == used) texts.emplace(sum, Cbor::binary(row));
    }
  };
  keep(true);
  // Another start may look elsewhere: what it read stays, as long as that is not ever more.
  keep(false);
  const Row bytes = Cbor::to_cbor(whole);
  leave_in_cache(file_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace onnxport

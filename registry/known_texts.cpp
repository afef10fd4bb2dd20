// SPDX-License-Identifier: Apache-2.0
#include "registry/known_texts.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <system_error>

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
  return fmt::format("onnxport {}, form 1", version);
}

/// With those of a usual length the file stays well below what read_text() takes.
constexpr size_t most_texts = 1000, longest_text = 4096;

// A node: [kind, line, text, quoted, item, …].
constexpr size_t first_item = 4;

Cbor written(const Node& node) {
  Cbor row = Cbor::array({static_cast<int>(node.kind), node.line, node.text, node.quoted});
  for (const Node& item : node.items) row.push_back(written(item));
  return row;
}

/// Throws Cbor::exception or Error(plugin) where the row is none.
Node node_of(const Cbor& row) {
  const int kind = row.at(0).get<int>();
  if (kind < static_cast<int>(Node::Kind::null) || kind > static_cast<int>(Node::Kind::map))
    throw Error(Failure::plugin, fmt::format("there is no node of kind {}", kind));
  Node node{
      static_cast<Node::Kind>(kind), row.at(1).get<int>(), row.at(2).get<std::string>(), {}, row.at(3).get<bool>()};
  node.items.reserve(row.size() - first_item);
  for (size_t i = first_item; i < row.size(); ++i) node.items.push_back(node_of(row[i]));
  return node;
}

}  // namespace

KnownTexts::KnownTexts(fs::path file) : file_(std::move(file)) {
  std::error_code absent;
  if (!fs::exists(file_, absent) || check_writers(file_)) return;
  try {
    const std::string bytes = yaml::read_text(file_);
    const Cbor whole = Cbor::from_cbor(bytes);
    if (whole.at("of") != heading()) return;
    std::map<std::string, Node> known;
    for (const auto& [sum, row] : whole.at("texts").items()) known.emplace(sum, node_of(row));
    known_ = std::move(known);
  } catch (const Error&) {  // it will be written anew
  } catch (const Cbor::exception&) {
  }
}

Node KnownTexts::read(const std::string& text, const fs::path& file) {
  if (file_.empty() || text.size() > longest_text) return yaml::parse(text, file);
  std::string sum = sha256_of_text(text);
  const auto found = known_.find(sum);
  Node node = found != known_.end() ? found->second : yaml::parse(text, file);
  const std::lock_guard lock(mutex_);
  has_news_ |= found == known_.end();
  used_.emplace(std::move(sum), node);
  return node;
}

void KnownTexts::save() const {
  if (file_.empty() || !has_news_) return;
  Cbor whole{{"of", heading()}, {"texts", Cbor::object()}};
  for (const auto& [sum, node] : used_) whole["texts"][sum] = written(node);
  // Another start may look elsewhere: what it read stays, as long as that is not ever more.
  for (const auto& [sum, node] : known_) {
    if (whole["texts"].size() == most_texts) break;
    if (!used_.contains(sum)) whole["texts"][sum] = written(node);
  }
  const std::vector<uint8_t> bytes = Cbor::to_cbor(whole);
  leave_in_cache(file_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include "host/package/tokenizer_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "host/package/jsonnet.hpp"
#include "host/plan/package.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
// Of its keys, which may be a quarter of a million, an ordered object would look through all for each.
using Sorted = nlohmann::json;

std::string text_of_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw Error(Failure::checkpoint, file.string() + " cannot be read", "check its permissions");
  return text.str();
}

/// Pieces between line feeds; what stands behind the last one is a piece as well.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

struct Vocabulary {
  std::string form;   // as the template calls it
  std::string files;  // for messages
  Sorted tokens = Sorted::object();
  Sorted merges{};  // pairs; null of a vocabulary of words
};

[[noreturn]] void refuse_vocabulary(const fs::path& file, const std::string& what) {
  throw Error(Failure::checkpoint, fmt::format("{}: {}", file.string(), what),
              "correct the file, or download it again");
}

Vocabulary words_in(const fs::path& file) {
  Vocabulary vocabulary{.form = "words", .files = "vocab.txt"};
  std::vector<std::string> lines = lines_of(text_of_file(file));
  if (lines.back().empty()) lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) vocabulary.tokens[lines[i]] = i;
  return vocabulary;
}

Vocabulary pairs_in(const fs::path& tokens, const fs::path& merges) {
  Vocabulary vocabulary{.form = "pairs", .files = "vocab.json and merges.txt"};
  try {
    vocabulary.tokens = Sorted::parse(text_of_file(tokens));
  } catch (const Sorted::exception& problem) {
    refuse_vocabulary(tokens, fmt::format("is no JSON: {}", problem.what()));
  }
  if (!vocabulary.tokens.is_object()) refuse_vocabulary(tokens, "is no JSON object");
  vocabulary.merges = Sorted::array();
  const std::vector<std::string> lines = lines_of(text_of_file(merges));
  // The first line is a version, and behind the last line feed there is none: as the original reads them.
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    const size_t blank = lines[i].find(' ');
    if (lines[i].empty()) continue;
    if (blank == std::string::npos || blank == 0 || lines[i].find(' ', blank + 1) != std::string::npos)
      refuse_vocabulary(merges, fmt::format("line {} is no pair of tokens", i + 1));
    vocabulary.merges.push_back({lines[i].substr(0, blank), lines[i].substr(blank + 1)});
  }
  return vocabulary;
}

std::optional<Vocabulary> vocabulary_in(const fs::path& folder) {
  std::error_code absent;
  const auto has = [&](const char* name) { return fs::is_regular_file(folder / name, absent); };
  if (has("vocab.json") && has("merges.txt")) return pairs_in(folder / "vocab.json", folder / "merges.txt");
  if (has("vocab.txt")) return words_in(folder / "vocab.txt");
  return std::nullopt;
}

/// The numbers of tokens that look special; a template has no use for the others.
Json ids_in(const Sorted& tokens) {
  Json ids = Json::object();
  for (const auto& [token, id] : tokens.items()) {
    const bool is_special = token.size() > 2 && ((token.front() == '<' && token.back() == '>') ||
                                                 (token.front() == '[' && token.back() == ']'));
    if (is_special && id.is_number_integer()) ids.push_back({token, id.get<int64_t>()});
  }
  return ids;
}

Json object_in_file(const fs::path& file) {
  std::error_code absent;
  return fs::is_regular_file(file, absent) ? read_json(file) : Json::object();
}

Json value_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json(nullptr) : *found;
}

void save_tokenizer(const fs::path& file, const std::string& text) {
  errno = 0;
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw output_error("cannot write", file, errno == 0 ? EIO : errno);
}

}  // namespace

BuiltTokenizer build_tokenizer(const fs::path& folder) {
  std::error_code absent;
  if (fs::exists(folder / tokenizer_file, absent)) return {};
  const std::optional<Vocabulary> vocabulary = vocabulary_in(folder);
  if (!vocabulary) return {};
  const Json config = object_in_file(folder / "tokenizer_config.json");
  const Json slow{{"class", value_in(config, "tokenizer_class")},
                  {"type", value_in(object_in_file(folder / "config.json"), "model_type")},
                  {"form", vocabulary->form},
                  {"config", config},
                  {"special", object_in_file(folder / "special_tokens_map.json")},
                  {"added", object_in_file(folder / "added_tokens.json")},
                  {"ids", ids_in(vocabulary->tokens)}};
  const Json made = evaluate_templates({installed_template("tokenizers/tokenizer.jsonnet")}, slow);
  if (const auto refused = made.find("refused"); refused != made.end()) {
    return {.left_out = fmt::format("{} is left out, since {} alone do not say it all: {}", tokenizer_file,
                                    vocabulary->files, refused->get<std::string>())};
  }
  Sorted whole = Sorted::parse(made.dump());
  whole["model"]["vocab"] = vocabulary->tokens;
  if (!vocabulary->merges.is_null()) whole["model"]["merges"] = vocabulary->merges;
  constexpr int indent = 2;
  save_tokenizer(folder / tokenizer_file, whole.dump(indent, ' ', false, Sorted::error_handler_t::replace) + "\n");
  return {.is_built = true};
}

}  // namespace onnxport

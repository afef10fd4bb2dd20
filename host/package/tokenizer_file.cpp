// SPDX-License-Identifier: Apache-2.0
#include "host/package/tokenizer_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "host/package/jsonnet.hpp"
#include "host/package/sentence_pieces.hpp"
#include "host/plan/package.hpp"
#include "registry/base64.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
// Of its keys, which may be a quarter of a million, an ordered object would look through all for each.
using Sorted = nlohmann::json;
using Scored = std::vector<std::pair<std::string, double>>;

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
  Sorted merges{};                         // pairs; null of a vocabulary of words
  std::optional<SentencePieces> pieces{};  // of a model of sentencepiece, where `tokens` are empty or their numbers
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

Sorted numbers_in(const fs::path& file) {
  Sorted tokens;
  try {
    tokens = Sorted::parse(text_of_file(file));
  } catch (const Sorted::exception& problem) {
    refuse_vocabulary(file, fmt::format("is no JSON: {}", problem.what()));
  }
  if (!tokens.is_object()) refuse_vocabulary(file, "is no JSON object");
  return tokens;
}

Vocabulary pairs_in(const fs::path& tokens, const fs::path& merges) {
  Vocabulary vocabulary{.form = "pairs", .files = "vocab.json and merges.txt", .tokens = numbers_in(tokens)};
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
  if (has("vocab.json") && has("source.spm")) {
    return Vocabulary{.form = "pieces",
                      .files = "source.spm and vocab.json",
                      .tokens = numbers_in(folder / "vocab.json"),
                      .pieces = read_sentence_pieces(folder / "source.spm")};
  }
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model",
                           "spm.model", "spm_char.model"}) {
    if (has(name)) return Vocabulary{.form = "pieces", .files = name, .pieces = read_sentence_pieces(folder / name)};
  }
  if (has("vocab.json"))
    return Vocabulary{.form = "letters", .files = "vocab.json", .tokens = numbers_in(folder / "vocab.json")};
  return std::nullopt;
}

/// All tokens by their numbers; null where there are many, or where the numbers are not those from 0 on.
Json few_tokens(const Sorted& tokens) {
  constexpr size_t few = 512;
  if (tokens.empty() || tokens.size() > few) return nullptr;
  std::vector<std::string> by_number(tokens.size());
  for (const auto& [token, id] : tokens.items()) {
    if (!id.is_number_unsigned() || id.get<size_t>() >= tokens.size()) return nullptr;
    by_number[id.get<size_t>()] = token;
  }
  return by_number;
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

/// What the template is told of a model of sentencepiece.
Json told_of(const SentencePieces& pieces) {
  constexpr const char* kinds[] = {"", "normal", "unknown", "control", "user_defined", "unused", "byte"};
  constexpr const char* models[] = {"", "unigram", "pairs", "words", "characters"};
  Json told = Json::array();
  for (size_t id = 0; id < pieces.pieces.size(); ++id) {
    const Piece& piece = pieces.pieces[id];
    const auto kind = static_cast<size_t>(piece.kind);
    if (piece.kind == Piece::Kind::normal || piece.kind == Piece::Kind::byte || kind >= std::size(kinds)) continue;
    told.push_back({{"text", piece.text}, {"id", id}, {"kind", kinds[kind]}});
  }
  const auto model = static_cast<size_t>(pieces.model);
  return {{"model", model < std::size(models) ? models[model] : "an unknown kind"},
          {"count", pieces.pieces.size()},
          {"unknown", pieces.unknown},
          {"characters", to_base64(pieces.characters)},
          {"told", told}};
}

Json object_in_file(const fs::path& file) {
  std::error_code absent;
  return fs::is_regular_file(file, absent) ? read_json(file) : Json::object();
}

Json value_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json(nullptr) : *found;
}

/// "1,"; a model that was trained on such pieces is not to use them.
bool ends_in_number_and_comma(const std::string& text) {
  return text.size() >= 2 && text.back() == ',' && text[text.size() - 2] >= '0' && text[text.size() - 2] <= '9';
}

/// The tokens with their scores, as the template has them stand.
Scored arranged(const std::vector<Piece>& pieces, const Sorted& form) {
  Scored scored;
  const auto add = [&](const char* list) {
    for (const Sorted& token : form.at(list)) scored.emplace_back(token.at(0), token.at(1).get<double>());
  };
  add("before");
  constexpr double penalty = 100;
  for (size_t i = form.at("from").get<size_t>(); i < pieces.size(); ++i) {
    const bool is_lowered = form.at("lowers_numbers") && ends_in_number_and_comma(pieces[i].text);
    scored.emplace_back(pieces[i].text, pieces[i].score - (is_lowered ? penalty : 0));
  }
  add("after");
  return scored;
}

/// The same of a vocabulary that has numbers of its own. Tokens that are no pieces are worse than any that is.
Scored by_vocabulary(const std::vector<Piece>& pieces, const Sorted& tokens) {
  std::map<std::string, double> scores;
  double least = 0;
  for (const Piece& piece : pieces) {
    scores.emplace(piece.text, piece.score);
    least = std::min(least, static_cast<double>(piece.score));
  }
  Scored scored(tokens.size());
  for (const auto& [token, id] : tokens.items()) {
    if (!id.is_number_unsigned() || id.get<size_t>() >= tokens.size()) return {};
    const auto found = scores.find(token);
    scored[id.get<size_t>()] = {token, found == scores.end() ? least : found->second};
  }
  return scored;
}

/// Beginnings of the characters of a text, but for the first.
std::vector<size_t> places_between_characters(const std::string& text) {
  std::vector<size_t> places;
  for (size_t i = 1; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) places.push_back(i);
  }
  return places;
}

/// Which pairs become a token, the likeliest first: all in which the tokens can be cut.
Sorted merges_of(const Scored& scored) {
  struct Merge {
    std::string left, right;
    double score;
    size_t left_length, right_length;
  };
  std::map<std::string, size_t> ids;
  for (size_t i = 0; i < scored.size(); ++i) ids[scored[i].first] = i;
  std::vector<Merge> merges;
  std::set<std::string> seen;
  for (const auto& [text, ignored] : scored) {
    if (!seen.insert(text).second) continue;
    const std::vector<size_t> places = places_between_characters(text);
    std::vector<Merge> own;
    for (size_t i = 0; i < places.size(); ++i) {
      Merge merge{text.substr(0, places[i]), text.substr(places[i]), scored[ids[text]].second, i + 1,
                  places.size() - i};
      if (ids.contains(merge.left) && ids.contains(merge.right)) own.push_back(std::move(merge));
    }
    std::stable_sort(own.begin(), own.end(), [&](const Merge& a, const Merge& b) {
      return std::pair(ids[a.left], ids[a.right]) < std::pair(ids[b.left], ids[b.right]);
    });
    std::move(own.begin(), own.end(), std::back_inserter(merges));
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(a.score, a.left_length, a.right_length) > std::tuple(b.score, b.left_length, b.right_length);
  });
  Sorted list = Sorted::array();
  for (const Merge& merge : merges) list.push_back({merge.left, merge.right});
  return list;
}

/// Puts pieces into the model that the template made, instead of what it says of them.
void add_pieces(const Vocabulary& vocabulary, Sorted& model) {
  const Sorted form = model.at("pieces");
  model.erase("pieces");
  const std::vector<Piece>& pieces = vocabulary.pieces->pieces;
  const Scored scored = form.at("by_vocabulary") ? by_vocabulary(pieces, vocabulary.tokens) : arranged(pieces, form);
  if (model.at("type") == "Unigram") {
    model["vocab"] = Sorted::array();
    for (const auto& [text, score] : scored) model["vocab"].push_back({text, score});
    return;
  }
  model["vocab"] = Sorted::object();
  for (size_t i = 0; i < scored.size(); ++i) model["vocab"][scored[i].first] = i;
  if (model.at("type") == "BPE") model["merges"] = merges_of(scored);
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
  Json slow{{"class", value_in(config, "tokenizer_class")},
            {"type", value_in(object_in_file(folder / "config.json"), "model_type")},
            {"form", vocabulary->form},
            {"config", config},
            {"special", object_in_file(folder / "special_tokens_map.json")},
            {"added", object_in_file(folder / "added_tokens.json")},
            {"ids", ids_in(vocabulary->tokens)},
            {"tokens", few_tokens(vocabulary->tokens)}};
  if (vocabulary->pieces) slow["pieces"] = told_of(*vocabulary->pieces);
  const Json made = evaluate_templates({installed_template("tokenizers/tokenizer.jsonnet")}, slow);
  if (const auto refused = made.find("refused"); refused != made.end()) {
    return {.left_out = fmt::format("{} is left out, since {} alone do not say it all: {}", tokenizer_file,
                                    vocabulary->files, refused->get<std::string>())};
  }
  Sorted whole = Sorted::parse(made.dump());
  if (vocabulary->pieces)
    add_pieces(*vocabulary, whole["model"]);
  else
    whole["model"]["vocab"] = vocabulary->tokens;
  if (!vocabulary->merges.is_null()) whole["model"]["merges"] = vocabulary->merges;
  constexpr int indent = 2;
  save_tokenizer(folder / tokenizer_file, whole.dump(indent, ' ', false, Sorted::error_handler_t::replace) + "\n");
  return {.is_built = true};
}

}  // namespace onnxport

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <string>

#include "core/dummy/preprocessor_files.hpp"
#include "core/error.hpp"

namespace onnxport::dummy {
namespace {

namespace fs = std::filesystem;
using PlainJson = nlohmann::json;
using Ids = std::map<std::string, int64_t>;  // token -> id

/// Only tokens that look special are looked up in a vocabulary, whose other entries (megabytes) are not kept.
bool looks_special(const std::string& token) {
  return token.starts_with('[') || token.starts_with('<');
}

/// tokenizer.json without its merges and without the ordinary entries of its vocabulary.
PlainJson parse_tokenizer(const fs::path& path) {
  std::string section, part;  // "model", "vocab"
  const PlainJson::parser_callback_t filter = [&](int depth, PlainJson::parse_event_t event, PlainJson& parsed) {
    if (event == PlainJson::parse_event_t::key) {
      if (depth == 1) section = parsed.get<std::string>();
      if (depth == 2) part = parsed.get<std::string>();
      if (section != "model") return true;
      if (depth == 2 && part == "merges") return false;
      if (depth == 3 && part == "vocab") return looks_special(parsed.get_ref<const std::string&>());
    }
    // A unigram vocabulary is a list of [piece, score].
    const bool pieces = event == PlainJson::parse_event_t::array_start && depth == 3;
    return !(pieces && section == "model" && part == "vocab");
  };
  PlainJson json = parse_file(path, filter);
  if (!json.is_object())
    throw Error(Failure::checkpoint, path.string() + " holds no JSON object", "correct the file, or download it again");
  return json;
}

/// A special token in the two forms that tokenizer_config.json and special_tokens_map.json have: "[CLS]" and
/// {"content": "[CLS]", …}.
std::optional<std::string> token_text(const PlainJson& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) {
    return (*found)["content"].get<std::string>();
  }
  return std::nullopt;
}

std::optional<int64_t> id_of(const Ids& ids, const std::optional<std::string>& token) {
  if (!token) return std::nullopt;
  const auto found = ids.find(*token);
  return found == ids.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

/// {"cls": ["[CLS]", 101]} -> 101
std::vector<int64_t> processor_token(const PlainJson& processor, const char* key) {
  const auto found = processor.find(key);
  if (found == processor.end() || !found->is_array() || found->size() != 2 || !(*found)[1].is_number_integer())
    return {};
  return {(*found)[1].get<int64_t>()};
}

/// The special tokens of a template, cut at its sequences: one more part than there are sequences.
std::vector<std::vector<int64_t>> template_parts(const PlainJson& pieces, const PlainJson& special) {
  std::vector<std::vector<int64_t>> parts(1);
  for (const PlainJson& piece : pieces) {
    if (piece.contains("Sequence")) {
      parts.emplace_back();
    } else if (piece.contains("SpecialToken")) {
      const std::string id = piece.at("SpecialToken").at("id").get<std::string>();
      for (const PlainJson& number : special.at(id).at("ids")) parts.back().push_back(number.get<int64_t>());
    }
  }
  return parts;
}

/// The post-processors that the tokenizers library writes into tokenizer.json.
void read_post_processor(const PlainJson& processor, Preprocessor& out) {
  if (!processor.is_object()) return;
  const std::string type = processor.value("type", "");
  if (type == "Sequence") {
    for (const PlainJson& part : processor.value("processors", PlainJson::array())) read_post_processor(part, out);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    const std::vector<int64_t> sep = processor_token(processor, "sep");
    out.before = processor_token(processor, "cls");
    out.between = out.after = sep;
    if (type == "RobertaProcessing") out.between.insert(out.between.end(), sep.begin(), sep.end());
    out.pair_defined = true;
  } else if (type == "TemplateProcessing") {
    const PlainJson& special = processor.at("special_tokens");
    const auto single = template_parts(processor.at("single"), special);
    if (single.size() == 2) {
      out.before = single.front();
      out.after = single.back();
    }
    const auto pair = template_parts(processor.value("pair", PlainJson::array()), special);
    if (pair.size() == 3) {
      out.between = pair[1];
      out.pair_defined = true;
    }
  }
}

/// Every token whose id is known, from the tokenizer's own lists.
Ids known_ids(const PlainJson& tokenizer, const PlainJson& config) {
  Ids ids;
  const PlainJson model = tokenizer.value("model", PlainJson::object());
  const PlainJson vocab = model.value("vocab", PlainJson());
  if (vocab.is_object()) {
    for (const auto& [token, id] : vocab.items()) {
      if (id.is_number_integer()) ids[token] = id.get<int64_t>();
    }
  }
  for (const PlainJson& token : tokenizer.value("added_tokens", PlainJson::array())) {
    if (token.contains("content") && token.contains("id")) ids[token["content"]] = token["id"].get<int64_t>();
  }
  const PlainJson decoder = config.value("added_tokens_decoder", PlainJson::object());
  for (const auto& [id, token] : decoder.items()) {
    if (const auto text = token_text(PlainJson{{"token", token}}, "token")) ids[*text] = std::stoll(id);
  }
  return ids;
}

/// vocab.txt holds one token a line, its id being the line.
void read_word_list(const fs::path& path, Ids& ids) {
  std::ifstream file = open_file(path);
  std::string line;
  for (int64_t id = 0; std::getline(file, line); ++id) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (looks_special(line)) ids.emplace(line, id);
  }
}

/// vocab.json holds {token: id}.
void read_word_map(const fs::path& path, Ids& ids) {
  const PlainJson::parser_callback_t filter = [](int depth, PlainJson::parse_event_t event, PlainJson& parsed) {
    return event != PlainJson::parse_event_t::key || depth != 1 || looks_special(parsed.get_ref<const std::string&>());
  };
  const PlainJson json = parse_file(path, filter);
  if (!json.is_object())
    throw Error(Failure::checkpoint, path.string() + " holds no JSON object", "correct the file, or download it again");
  for (const auto& [token, id] : json.items()) {
    if (id.is_number_integer()) ids.emplace(token, id.get<int64_t>());
  }
}

}  // namespace

bool read_tokenizer(const fs::path& folder, Preprocessor& out) {
  const bool fast = fs::is_regular_file(folder / "tokenizer.json");
  const bool word_list = fs::is_regular_file(folder / "vocab.txt");
  const bool word_map = fs::is_regular_file(folder / "vocab.json");
  const PlainJson config = parse_object(folder / "tokenizer_config.json");
  const PlainJson map = parse_object(folder / "special_tokens_map.json");
  if (!fast && !word_list && !word_map && !config.contains("added_tokens_decoder")) return false;

  const PlainJson tokenizer = fast ? parse_tokenizer(folder / "tokenizer.json") : PlainJson::object();
  Ids ids = known_ids(tokenizer, config);
  if (!fast && word_list) read_word_list(folder / "vocab.txt", ids);
  if (!fast && word_map) read_word_map(folder / "vocab.json", ids);

  const auto named = [&](const std::string& role, const char* usual) -> std::optional<int64_t> {
    if (const auto id = id_of(ids, token_text(map, role))) return id;
    if (const auto id = id_of(ids, token_text(config, role))) return id;
    return usual ? id_of(ids, std::string(usual)) : std::nullopt;
  };

  out.unk = named("unk_token", "[UNK]");
  if (!out.unk) out.unk = id_of(ids, std::string("<unk>"));
  const PlainJson model = tokenizer.value("model", PlainJson::object());
  if (!out.unk) out.unk = id_of(ids, token_text(model, "unk_token"));
  if (!out.unk && model.contains("unk_id") && model["unk_id"].is_number_integer())
    out.unk = model["unk_id"].get<int64_t>();
  out.pad = named("pad_token", "[PAD]");
  const PlainJson padding = tokenizer.value("padding", PlainJson());
  if (!out.pad && padding.is_object() && padding.contains("pad_id")) out.pad = padding["pad_id"].get<int64_t>();
  out.pads_left =
      config.value("padding_side", "") == "left" || (padding.is_object() && padding.value("direction", "") == "Left");

  for (const PlainJson& token : tokenizer.value("added_tokens", PlainJson::array())) {
    if (token.value("special", false) && token.contains("id")) out.special.push_back(token["id"].get<int64_t>());
  }
  for (const char* role :
       {"cls_token", "sep_token", "mask_token", "bos_token", "eos_token", "pad_token", "unk_token"}) {
    if (const auto id = named(role, nullptr)) out.special.push_back(*id);
  }
  if (fast) {
    read_post_processor(tokenizer.value("post_processor", PlainJson()), out);
  } else {
    // A tokenizer without tokenizer.json does this in code; around [CLS] and [SEP] all of them agree.
    const auto cls = named("cls_token", word_list ? "[CLS]" : nullptr);
    const auto sep = named("sep_token", word_list ? "[SEP]" : nullptr);
    if (cls && sep) {
      out.before = {*cls};
      out.between = out.after = {*sep};
      out.pair_defined = true;
    }
  }
  for (const auto* tokens : {&out.before, &out.between, &out.after}) {
    out.special.insert(out.special.end(), tokens->begin(), tokens->end());
  }
  std::sort(out.special.begin(), out.special.end());
  out.special.erase(std::unique(out.special.begin(), out.special.end()), out.special.end());
  return true;
}

}  // namespace onnxport::dummy

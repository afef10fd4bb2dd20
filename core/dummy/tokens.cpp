// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/tokens.hpp"

#include <algorithm>

namespace onnxport::dummy {
namespace {

void keep_below(int64_t limit, std::vector<int64_t>& ids) {
  std::erase_if(ids, [&](int64_t id) { return id < 0 || id >= limit; });
}

/// The field of a model of texts, which of several modalities has a config of its own.
std::optional<int64_t> token_of(const Json& config, const char* key) {
  if (const auto id = config_number(config, key)) return id;
  const auto texts = config.is_object() ? config.find("text_config") : config.end();
  return texts == config.end() ? std::nullopt : config_number(*texts, key);
}

}  // namespace

std::optional<int64_t> config_number(const Json& config, const char* key) {
  if (!config.is_object()) return std::nullopt;
  const auto found = config.find(key);
  if (found == config.end()) return std::nullopt;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (found->is_array() && !found->empty() && found->front().is_number_integer()) return found->front().get<int64_t>();
  return std::nullopt;
}

bool Tokens::is_special(int64_t id) const {
  return std::find(special.begin(), special.end(), id) != special.end();
}

Tokens tokens_for(const Preprocessor* preprocessor, const Json& config, int64_t limit) {
  Tokens tokens;
  int64_t unk = -1;
  std::optional<int64_t> pad = token_of(config, "pad_token_id");
  for (const char* key :
       {"pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "decoder_start_token_id"}) {
    if (const auto id = token_of(config, key)) tokens.special.push_back(*id);
  }
  if (preprocessor && (preprocessor->unk || preprocessor->pad || !preprocessor->special.empty())) {
    tokens.before = preprocessor->before;
    tokens.between = preprocessor->between;
    tokens.after = preprocessor->after;
    tokens.pads_left = preprocessor->pads_left;
    tokens.special.insert(tokens.special.end(), preprocessor->special.begin(), preprocessor->special.end());
    unk = preprocessor->unk.value_or(-1);
    // The model masks by the pad id of its config where it has one, whatever the tokenizer says.
    if (!pad) pad = preprocessor->pad;
  } else {
    const auto begin =
        token_of(config, "cls_token_id") ? token_of(config, "cls_token_id") : token_of(config, "bos_token_id");
    const auto end =
        token_of(config, "sep_token_id") ? token_of(config, "sep_token_id") : token_of(config, "eos_token_id");
    if (begin) tokens.before = {*begin};
    if (end) tokens.between = tokens.after = {*end};
  }
  if (limit > 0) {
    for (auto* ids : {&tokens.before, &tokens.between, &tokens.after, &tokens.special}) keep_below(limit, *ids);
    if (unk >= limit) unk = -1;
    if (pad && (*pad >= limit || *pad < 0)) pad.reset();
  }
  if (pad) tokens.special.push_back(*pad);
  tokens.pad = pad.value_or(0);
  if (unk >= 0) {
    tokens.unk = unk;
  } else {  // the first ordinary token
    while (tokens.is_special(tokens.unk) && tokens.unk + 1 < limit) ++tokens.unk;
  }
  return tokens;
}

}  // namespace onnxport::dummy

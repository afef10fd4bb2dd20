// SPDX-License-Identifier: Apache-2.0
#include "core/definition/config_fields.hpp"

#include <fmt/format.h>

#include <functional>
#include <set>
#include <string_view>

#include "core/definition/misread.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

/// Fields of config.json that say nothing of the graph, whatever the model.
/// Source: PretrainedConfig, transformers 4.30 and 4.57; and what files on the hub hold besides, by no class.
const std::set<std::string, std::less<>>& general_fields() {
  // clang-format off
  static const std::set<std::string, std::less<>> fields{
      // of the file itself
      "_name_or_path", "architectures", "auto_map", "model_type", "transformers_version", "torch_dtype", "dtype",
      "_commit_hash", "quantization_config",
      // of training and of running
      "torchscript", "initializer_range", "initializer_factor", "use_cache", "return_dict", "output_attentions",
      "output_hidden_states", "use_bfloat16", "tf_legacy_loss", "pruned_heads", "chunk_size_feed_forward",
      "gradient_checkpointing", "attn_implementation", "_attn_implementation",
      // of how models are put together, which features say
      "is_encoder_decoder", "cross_attention_hidden_size", "add_cross_attention", "tie_encoder_decoder",
      "is_decoder", "tie_word_embeddings",
      // of generation
      "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty",
      "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
      "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
      "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
      "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "cache_implementation",
      "force_bos_token_to_be_generated", "forced_decoder_ids",
      // of labels and tokens
      "finetuning_task", "id2label", "label2id", "num_labels", "tokenizer_class", "prefix", "bos_token_id",
      "pad_token_id", "eos_token_id", "sep_token_id", "decoder_start_token_id", "mask_token_id", "unk_token_id", "eos_token_ids", "task_specific_params",
      "problem_type",
      // of the first releases, which no class has any more
      "output_past", "n_special", "predict_special_tokens", "tie_weights_", "student_encoder_layers",
      "student_decoder_layers", "replacing_rate", "save_step", "freeze_feat_extract_train",
      // of BERT's pre-training, which no class has
      "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
      "pooler_size_per_head", "pooler_type",
      // of other libraries and of authors
      "sentence_transformers", "setfit_version", "matryoshka_dims", "transformers.js_config", "unsloth_version",
      "unsloth_fixed", "is_llama_config", "created_date", "language", "name",
  };
  // clang-format on
  return fields;
}

bool is_training_field(std::string_view name) {
  for (const std::string_view part : {"dropout", "_pdrop", "layerdrop", "drop_path_rate"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  for (const std::string_view begin : {"mask_time_", "mask_channel_", "mask_feature_", "no_mask_"}) {
    if (name.starts_with(begin)) return true;
  }
  return false;
}

/// Fields of all classes that are read by whoever needs them, and what they have to be where they say anything.
struct Form {
  const char* field;
  Json::value_t type;
  const char* name;
};
constexpr Form forms[] = {
    {"architectures", Json::value_t::array, "a list of class names"},
    {"id2label", Json::value_t::object, "a map from numbers to labels"},
    {"label2id", Json::value_t::object, "a map from labels to numbers"},
    {"quantization_config", Json::value_t::object, "a map"},
};

void refuse_other_forms(const Json& config) {
  if (!config.is_object()) return;
  Misread misread;
  for (const Form& form : forms) {
    const auto found = config.find(form.field);
    if (found != config.end() && !found->is_null() && found->type() != form.type)
      misread.note(form.field, *found, form.name);
  }
  misread.check(nullptr);
}

}  // namespace

std::vector<std::string> unread_fields(const Json& config, const AskedFields& asked) {
  std::vector<std::string> unread;
  for (const auto& [key, value] : config.items()) {
    const bool is_general = general_fields().contains(key) || is_training_field(key) || key.starts_with("_");
    if (!asked.contains(key) && !is_general) unread.push_back(key);
  }
  return unread;
}

void refuse_general_fields(const Json& config) {
  refuse_other_forms(config);
  const auto pruned = config.is_object() ? config.find("pruned_heads") : config.end();
  if (pruned == config.end() || !pruned->is_structured() || pruned->empty()) return;
  throw Error(
      Failure::checkpoint,
      fmt::format("config field 'pruned_heads' takes heads out of {} layers; expected none, since the layers of "
                  "a definition are alike",
                  pruned->size()),
      "export the checkpoint that it was pruned from");
}

std::vector<std::string> architectures_of(const Json& config) {
  std::vector<std::string> names;
  const auto found = config.find("architectures");
  if (found != config.end() && found->is_array()) {
    for (const Json& name : *found) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
  }
  // Transformers 4.57 writes the class of some models around a decoder into the decoder's config.
  const auto text = config.find("text_config");
  if (names.empty() && text != config.end() && text->is_object()) return architectures_of(*text);
  return names;
}

std::string own_code_of(const Json& config) {
  const auto map = config.find("auto_map");
  if (map == config.end() || !map->is_object()) return {};
  for (const auto& [name, value] : map->items()) {
    if (name.starts_with("AutoModel") && value.is_string()) return value.get<std::string>();
  }
  return {};
}

}  // namespace onnxport

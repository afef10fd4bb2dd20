// SPDX-License-Identifier: Apache-2.0
#include "core/definition/config_fields.hpp"

#include <functional>
#include <set>
#include <string_view>

namespace onnxport {
namespace {

/// Fields of config.json that say nothing of the graph, whatever the model: training, generation, bookkeeping.
/// Source: PretrainedConfig, transformers 4.30 and 4.57.
const std::set<std::string, std::less<>>& general_fields() {
  static const std::set<std::string, std::less<>> fields{"_name_or_path",
                                                         "architectures",
                                                         "auto_map",
                                                         "model_type",
                                                         "transformers_version",
                                                         "torch_dtype",
                                                         "dtype",
                                                         "torchscript",
                                                         "initializer_range",
                                                         "initializer_factor",
                                                         "use_cache",
                                                         "return_dict",
                                                         "output_attentions",
                                                         "output_hidden_states",
                                                         "use_bfloat16",
                                                         "tf_legacy_loss",
                                                         "pruned_heads",
                                                         "chunk_size_feed_forward",
                                                         "is_encoder_decoder",
                                                         "cross_attention_hidden_size",
                                                         "add_cross_attention",
                                                         "tie_encoder_decoder",
                                                         "max_length",
                                                         "min_length",
                                                         "do_sample",
                                                         "early_stopping",
                                                         "num_beams",
                                                         "num_beam_groups",
                                                         "diversity_penalty",
                                                         "temperature",
                                                         "top_k",
                                                         "top_p",
                                                         "typical_p",
                                                         "repetition_penalty",
                                                         "length_penalty",
                                                         "no_repeat_ngram_size",
                                                         "encoder_no_repeat_ngram_size",
                                                         "bad_words_ids",
                                                         "num_return_sequences",
                                                         "output_scores",
                                                         "return_dict_in_generate",
                                                         "forced_bos_token_id",
                                                         "forced_eos_token_id",
                                                         "remove_invalid_values",
                                                         "exponential_decay_length_penalty",
                                                         "suppress_tokens",
                                                         "begin_suppress_tokens",
                                                         "finetuning_task",
                                                         "id2label",
                                                         "label2id",
                                                         "num_labels",
                                                         "tokenizer_class",
                                                         "prefix",
                                                         "bos_token_id",
                                                         "pad_token_id",
                                                         "eos_token_id",
                                                         "sep_token_id",
                                                         "decoder_start_token_id",
                                                         "task_specific_params",
                                                         "problem_type",
                                                         "gradient_checkpointing",
                                                         "attn_implementation",
                                                         "_attn_implementation",
                                                         "_commit_hash",
                                                         "is_decoder",
                                                         "tie_word_embeddings"};
  return fields;
}

bool is_training_field(std::string_view name) {
  for (const std::string_view part : {"dropout", "_pdrop", "layerdrop", "drop_path_rate"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  return false;
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

}  // namespace onnxport

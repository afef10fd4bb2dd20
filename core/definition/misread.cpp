// SPDX-License-Identifier: Apache-2.0
#include "core/definition/misread.hpp"

#include <fmt/format.h>

#include <set>

#include "core/definition/field_at.hpp"
#include "core/error.hpp"
#include "core/printable.hpp"

namespace onnxport {
namespace {

/// Fields of which a model with null could not be made.
/// Source: the annotations of the config classes of transformers 5.24, which refuse null for them; those that three
/// classes have at least, and none has null for by itself.
const std::set<std::string_view>& never_null_fields() {
  // clang-format off
  static const std::set<std::string_view> fields{
      "activation", "activation_function", "adapter_kernel_size", "adapter_stride", "attention_bias", "batch_norm_eps",
      "classifier_activation", "classifier_pooling", "classifier_proj_size", "codevector_dim", "conv_dim",
      "conv_kernel", "conv_stride", "d_ff", "d_kv", "d_model", "decoder_activation_function", "decoder_attention_heads",
      "decoder_ffn_dim", "decoder_in_channels", "decoder_layers", "decoder_n_points", "decoder_num_attention_heads",
      "decoder_sparse_step", "encode_proj_layers", "encoder_activation_function", "encoder_attention_heads",
      "encoder_ffn_dim", "encoder_layers", "encoder_n_points", "expand", "expand_ratio", "feat_extract_activation",
      "feat_extract_norm", "feat_strides", "feed_forward_proj", "ffn_dim", "fusion_hidden_size", "hidden_act",
      "hidden_dim", "hidden_expansion", "hidden_size", "image_size", "inner_group_num", "kernel_size", "kv_lora_rank",
      "layer_norm_eps", "layer_norm_epsilon", "linear_conv_kernel_dim", "linear_key_head_dim", "linear_num_key_heads",
      "linear_num_value_heads", "linear_value_head_dim", "max_2d_position_embeddings", "max_position_embeddings",
      "max_source_positions", "mlp_bias", "mlp_ratio", "mlp_ratios", "multimodal_projector_bias", "n_embd", "n_head",
      "n_heads", "n_layer", "n_layers", "n_positions", "neck_hidden_sizes", "norm_eps", "norm_type", "normalize_before",
      "num_adapter_layers", "num_attention_heads", "num_channels", "num_codevector_groups", "num_codevectors_per_group",
      "num_conv_pos_embedding_groups", "num_conv_pos_embeddings", "num_encoder_blocks", "num_feature_levels",
      "num_heads", "num_hidden_groups", "num_hidden_layers", "num_layers", "num_mel_bins", "num_queries", "patch_size",
      "patch_sizes", "patch_stride", "pooler_act", "pre_norm", "proj_codevector_dim", "projection_hidden_act",
      "projector_hidden_act", "qk_layernorm", "qk_nope_head_dim", "qk_rope_head_dim", "qkv_bias", "reassemble_factors",
      "relative_attention", "relative_attention_max_distance", "relative_attention_num_buckets",
      "scale_attn_weights", "scale_embedding", "scale_factor", "sr_ratios", "state_size", "strides", "tdnn_dilation",
      "tdnn_dim", "tdnn_kernel", "tie_word_embeddings", "time_step_rank", "two_stage", "type_vocab_size",
      "use_absolute_position_embeddings", "use_conv_bias", "with_box_refine", "xvector_output_dim",
  };
  // clang-format on
  return fields;
}

/// A value as messages show it: not all of a long one.
std::string shown(const Json& value) {
  constexpr size_t most = 60;  // characters
  const std::string text = printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return text.size() <= most ? text : fmt::format("{:.{}}…", text, most);
}

}  // namespace

bool is_never_null(std::string_view field) {
  return never_null_fields().contains(field);
}

void Misread::note(const std::string& path, const Json& found, std::string_view expected) {
  if (!path_.empty() || path.empty()) return;
  path_ = path;
  found_ = shown(found);
  expected_ = expected;
}

void Misread::check(const ConfigNames* names) const {
  if (path_.empty()) return;
  const std::string field = names == nullptr ? path_ : names->own_name(path_);
  throw Error(Failure::checkpoint, fmt::format("config field '{}' is {}; expected {}", field, found_, expected_),
              found_ == "null" ? "write its value into config.json, or take the field out for the class's default"
                               : "correct config.json, or save the model again with a later transformers");
}

std::string field_of(const std::string& message) {
  constexpr std::string_view begin = "config field '";
  if (!message.starts_with(begin)) return {};
  return message.substr(begin.size(), message.find('\'', begin.size()) - begin.size());
}

std::string with_what_is_there(const std::string& message, const Json& config) {
  constexpr std::string_view tells = "' has another type: expected ";
  const size_t end = message.find(tells);
  const std::string field = field_of(message);
  if (field.empty() || end == std::string::npos) return message;
  const Json* found = field_at(config, field);
  if (found == nullptr) return message;
  return fmt::format("config field '{}' is {}; expected {}", field, shown(*found), message.substr(end + tells.size()));
}

}  // namespace onnxport

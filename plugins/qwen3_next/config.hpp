// SPDX-License-Identifier: Apache-2.0
// What config.json says of a Qwen3-Next or a Qwen 3.5, and what tells them apart.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/blocks/gated_delta.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/rotary.hpp>

namespace qwen3_next {

using namespace onnxport::sdk;

/// What a model type's config class says where a config does not, and what is fixed in its code.
struct Family {
  const char* type;
  int64_t vocab, hidden, layers, kv_heads;
  int64_t inner;             ///< of feed-forwards without experts; 0: all layers have experts
  int64_t experts, top_k;    ///< 0: there are none
  bool chooses_layers;       ///< whether config.json may state which layers have experts, and what experts' shares are
  bool apart;                ///< as of GatedDeltaMixer
  const char* text_classes;  ///< the layers behind: of texts, tokens, spans; "" where the type has no such head
  const char* token_classes;
  const char* span;
  const char* span_base = "model";  ///< what the base model is called below a head of spans
};

inline const Family families[] = {
    {"qwen3_next", 151936, 2048, 48, 2, 5632, 512, 10, true, false, "score", "score", "qa_outputs", "transformer"},
    {"qwen3_5_text", 248320, 4096, 32, 4, 12288, 0, 0, false, true, "score", "score", ""},
    {"qwen3_5_moe_text", 248320, 2048, 40, 2, 0, 256, 8, false, true, "", "", ""},
};

/// Experts by a softmax, and one that all tokens share behind a gate. Source: Qwen3NextSparseMoeBlock and
/// Qwen3_5MoeSparseMoeBlock, transformers 5.24.
inline MixtureFeedForward mixture_of(const Config& c, int64_t hidden, const Family& family) {
  const std::string activation = c.text("hidden_act", "silu");
  MixtureFeedForward form{.experts = {.count = c.size("num_experts", family.experts),
                                      .hidden = hidden,
                                      .inner = c.size("moe_intermediate_size", 512)},
                          .options = {.top_k = c.size("num_experts_per_tok", family.top_k),
                                      .normalize = !family.chooses_layers || c.boolean("norm_topk_prob", true),
                                      .activation = activation},
                          .shared = gated_feed_forward(c.size("shared_expert_intermediate_size", 512), activation),
                          .shared_at = "shared_expert",
                          .shared_gate = "shared_expert_gate"};
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
  return form;
}

/// Which layers have experts, and what the others have.
inline FeedForwards feed_forwards(const Config& c, int64_t hidden, const Family& family) {
  FeedForwards all;
  if (family.inner > 0)
    all.dense = gated_feed_forward(c.size("intermediate_size", family.inner), c.text("hidden_act", "silu"));
  const bool any = family.experts > 0 && (!family.chooses_layers || c.count("num_experts", family.experts) > 0);
  const std::vector<int64_t> dense = family.chooses_layers ? c.integers("mlp_only_layers") : std::vector<int64_t>{};
  const int64_t step = family.chooses_layers ? c.size("decoder_sparse_step", 1) : 1;
  all.is_mixture = [any, dense, step](int64_t i) {
    return any && (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), i) == dense.end();
  };
  if (any) all.mixture = {{"mlp", mixture_of(c, hidden, family)}};
  return all;
}

struct Qwen3NextConfig {
  /// `images`: whether there are some among the tokens, by which positions have three axes.
  Qwen3NextConfig(const Config& c, const Family& family, bool images)
      : vocab(c.size("vocab_size", family.vocab)),
        hidden(c.size("hidden_size", family.hidden)),
        layers(c.count("num_hidden_layers", family.layers)),
        heads(c.size("num_attention_heads", 16)),
        kv_heads(c.size("num_key_value_heads", family.kv_heads)),
        head_size(c.size("head_dim", 256)),
        positions(c.size("max_position_embeddings", 32768)),
        bias(c.boolean("attention_bias", false)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6), .offset = 1},
        types(types_of(c, layers)),
        mixer{.rule = {.key_heads = c.size("linear_num_key_heads", 16),
                       .value_heads = c.size("linear_num_value_heads", 32),
                       .key_size = c.size("linear_key_head_dim", 128),
                       .value_size = c.size("linear_value_head_dim", 128)},
              .kernel = c.size("linear_conv_kernel_dim", 4),
              // transformers 4 had no other one here.
              .activation = c.written_before(5, 0) ? "silu" : c.text("hidden_act", "silu"),
              .epsilon = norm.epsilon,
              .apart = family.apart},
        feeds(feed_forwards(c, hidden, family)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", 10000),
                            .partial = c.real("partial_rotary_factor", 0.25),
                            .axes = images ? RotaryFields::Axes::by_turns : RotaryFields::Axes::one}),
        tied(c.tie(false)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_multiple({"linear_num_value_heads", mixer.rule.value_heads},
                     {"linear_num_key_heads", mixer.rule.key_heads});
    no_effect_of_router_training(c);
    // Of the layer that predicts a second token, of kernels, and what the classes always have.
    c.no_effect({"mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "mamba_ssm_dtype", "attn_output_gate",
                 "mlp_only_layers"});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  bool bias;
  Norm norm;
  std::vector<std::string> types;  // of each layer
  GatedDeltaMixer mixer;
  FeedForwards feeds;
  Rotary rotary;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;

  bool attends(int64_t layer) const { return types[static_cast<size_t>(layer)] == "full_attention"; }

 private:
  static std::vector<std::string> types_of(const Config& c, int64_t layers) {
    const int64_t interval = c.size("full_attention_interval", 4);
    return layer_types(c, {layers, {"full_attention", "linear_attention"}, [interval](int64_t i) {
                             return (i + 1) % interval == 0 ? "full_attention" : "linear_attention";
                           }});
  }
};

}  // namespace qwen3_next

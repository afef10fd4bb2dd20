// SPDX-License-Identifier: Apache-2.0
// The feed-forwards of Mixtral's relatives, each as its config class states them. Where a class is known under two
// sets of names, the first is how it is published and the other how transformers 5 has it in memory, which
// save_pretrained(save_original_format=False) writes.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/families/mixtures.hpp>

namespace mixtral {

using namespace onnxport::sdk;

inline FeedForwards mixtral_experts(const Config& c, int64_t hidden) {
  return mixtral_feed_forwards(c, hidden);
}

namespace detail {

/// What the classes of Qwen and OLMoE say where a config does not.
struct Defaults {
  const char* inner_field;
  int64_t inner, experts, top_k;
};

/// Experts that count what a softmax over all of them gives, or its part of the chosen's sum.
inline MixtureFeedForward by_softmax(const Config& config, int64_t hidden, const Defaults& otherwise) {
  const Config c = config.with_names({{"num_experts", "num_local_experts"}});
  MixtureFeedForward form{.experts = {.count = c.size("num_experts", otherwise.experts),
                                      .hidden = hidden,
                                      .inner = c.size(otherwise.inner_field, otherwise.inner)},
                          .options = {.top_k = c.size("num_experts_per_tok", otherwise.top_k),
                                      .normalize = c.boolean("norm_topk_prob", false),
                                      .activation = c.text("hidden_act", "silu")}};
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
  return form;
}

/// Qwen's: mixtures in every decoder_sparse_step-th layer that mlp_only_layers does not list.
inline FeedForwards qwen_experts(const Config& config, int64_t dense_inner, const MixtureFeedForward& form) {
  const std::vector<int64_t> dense = config.integers("mlp_only_layers");
  const int64_t step = config.size("decoder_sparse_step", 1);
  return {.mixture = {{"mlp", form}},
          .is_mixture =
              [dense, step](int64_t i) {
                return (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), i) == dense.end();
              },
          .dense = gated_feed_forward(config.size("intermediate_size", dense_inner), form.options.activation)};
}

/// DeepSeek's in all layers but the first few.
inline FeedForwards behind_dense(const Config& c, const MixtureFeedForward& form, int64_t dense_layers) {
  const int64_t first = c.count("first_k_dense_replace", dense_layers);
  return {.mixture = {{"mlp", form}},
          .is_mixture = [first](int64_t i) { return i >= first; },
          .dense = gated_feed_forward(c.size("intermediate_size", 10944), form.options.activation)};
}

}  // namespace detail

/// Source: Qwen2MoeSparseMoeBlock, transformers 4.57.
inline FeedForwards qwen2_experts(const Config& c, int64_t hidden) {
  MixtureFeedForward form = detail::by_softmax(c, hidden, {"moe_intermediate_size", 1408, 60, 4});
  form.shared = gated_feed_forward(c.size("shared_expert_intermediate_size", 5632), form.options.activation);
  form.shared_at = "shared_expert";
  form.shared_gate = "shared_expert_gate";
  return detail::qwen_experts(c, 5632, form);
}

/// Source: Qwen3MoeSparseMoeBlock, transformers 4.57.
inline FeedForwards qwen3_experts(const Config& c, int64_t hidden) {
  return detail::qwen_experts(c, 6144, detail::by_softmax(c, hidden, {"moe_intermediate_size", 768, 128, 8}));
}

/// Source: Qwen3VLMoeTextSparseMoeBlock, transformers 4.57 and 5.24.
inline FeedForwards qwen3_vl_experts(const Config& c, int64_t hidden) {
  MixtureFeedForward form = detail::by_softmax(c, hidden, {"moe_intermediate_size", 1408, 60, 4});
  form.options.normalize = true;  // whatever is stated
  form.experts.up.clear();
  form.experts.turned = true;
  return detail::qwen_experts(c, 5632, form);
}

/// Source: OlmoeSparseMoeBlock, transformers 4.57.
inline FeedForwards olmoe_experts(const Config& c, int64_t hidden) {
  return {.mixture = {{"mlp", detail::by_softmax(c, hidden, {"intermediate_size", 2048, 64, 8})}}};
}

/// Source: FlexOlmoSparseMoeBlock, transformers 5.24.
inline FeedForwards flex_olmo_experts(const Config& c, int64_t hidden) {
  return {.mixture = {{"mlp", detail::by_softmax(c, hidden, {"intermediate_size", 11008, 7, 5})}}};
}

/// Mixtral's choice; experts that are stored as two turned tensors, with an activation of their own, beside a
/// feed-forward that all tokens share. Source: AriaTextMoELayer, transformers 4.57 and 5.24.
inline FeedForwards aria_experts(const Config& c, int64_t hidden) {
  const int64_t inner = c.size("intermediate_size", 4096);
  MixtureFeedForward form{.experts = {.count = c.size("moe_num_experts", 8),
                                      .hidden = hidden,
                                      .inner = inner,
                                      .up = "",
                                      .stacked_up = "fc1.weight",
                                      .stacked_down = "fc2.weight",
                                      .turned = true},
                          .options = {.top_k = c.size("moe_topk", 2), .normalize = true},
                          .router = "router",
                          .shared = gated_feed_forward(inner * c.size("moe_num_shared_experts", 2),
                                                       c.text("hidden_act", "silu"), c.boolean("mlp_bias", false))};
  require_at_most({"moe_topk", form.options.top_k}, {"moe_num_experts", form.experts.count});
  return {.mixture = {{"mlp", form}}};
}

/// Source: GraniteMoeSharedDecoderLayer, transformers 4.57 and 5.24.
inline FeedForwards shared_granite_experts(const Config& c, int64_t hidden) {
  return beside_shared(granite_experts(c, hidden), c.count("shared_intermediate_size", 0));
}

/// Two experts by a sparse mixer. Source: PhimoeSparseMoeBlock, transformers 4.57 and 5.24.
inline FeedForwards phi_experts(const Config& c, int64_t hidden) {
  MixtureFeedForward form = mixtral_mixture(c, hidden, {.inner = 6400, .experts = 16});
  require_equal({"num_experts_per_tok", form.options.top_k}, {"those that a sparse mixer chooses", 2});
  form.options.normalize = false;
  form.scores = MixtureFeedForward::Scores::sparse_mixer;
  form.jitter = c.real("router_jitter_noise", 0.01);
  MixtureFeedForward in_memory = form;
  in_memory.router = "router";
  return {.mixture = {{"block_sparse_moe", form}, {"mlp", in_memory}}};
}

/// Experts with biases and a clamped activation, whose gates and values take turns. Source: GptOssMLP,
/// transformers 4.57 and 5.24.
inline FeedForwards gpt_oss_experts(const Config& c, int64_t hidden) {
  MixtureFeedForward form = mixtral_mixture(c, hidden, {.inner = 2880, .experts = 128, .top_k = 4});
  form.experts.up.clear();
  form.experts.bias = form.experts.turned = form.experts.interleaved = true;
  form.options.alpha = c.real("swiglu_alpha", 1.702);
  form.options.limit = c.real("swiglu_limit", 7);
  form.options.activation = "silu";  // of which alpha takes the place
  form.router = "router";
  form.router_bias = true;
  c.no_effect({"experts_per_token"});  // an older name beside num_experts_per_tok
  return {.mixture = {{"mlp", form}}};
}

/// The same, all gates before all values. Source: OpenAIPrivacyFilterMLP, transformers 5.24.
inline FeedForwards privacy_filter_experts(const Config& c, int64_t hidden) {
  FeedForwards all = gpt_oss_experts(c, hidden);
  all.mixture[0].form.experts.interleaved = false;
  return all;
}

/// Mixtral's experts, each with an affinity of its own and a bias that balances their load. Source:
/// MiniMaxM2SparseMoeBlock, transformers 5.24.
inline FeedForwards minimax_m2_experts(const Config& c, int64_t hidden) {
  FeedForwards all = mixtral_feed_forwards(c, hidden, {.inner = 1536, .experts = 256, .top_k = 8});
  for (MixtureAt& at : all.mixture) {
    at.form.scores = MixtureFeedForward::Scores::sigmoid;
    at.form.balance = "e_score_correction_bias";
    at.form.balance_at = "";
  }
  return all;
}

/// Source: SolarOpenMoE, transformers 5.24.
inline FeedForwards solar_experts(const Config& c, int64_t hidden) {
  return {.mixture = {{"mlp", deepseek_mixture(c, hidden,
                                               {.inner = 1280,
                                                .experts = 128,
                                                .shared_experts = 1,
                                                .top_k = 8,
                                                .groups = 1,
                                                .kept_groups = 1,
                                                .normalize = true})}}};
}

/// Source: Glm4MoeMoE, transformers 4.57.
inline FeedForwards glm4_experts(const Config& c, int64_t hidden) {
  c.no_effect({"num_nextn_predict_layers", "num_mtp_layers"});
  return detail::behind_dense(c,
                              deepseek_mixture(c, hidden,
                                               {.inner = 1408,
                                                .experts = 128,
                                                .shared_experts = 1,
                                                .top_k = 8,
                                                .groups = 1,
                                                .kept_groups = 1,
                                                .normalize = true}),
                              1);
}

/// Source: Dots1MoE, transformers 4.57.
inline FeedForwards dots_experts(const Config& c, int64_t hidden) {
  return detail::behind_dense(c,
                              deepseek_mixture(c, hidden,
                                               {.inner = 1408,
                                                .experts = 128,
                                                .shared_experts = 2,
                                                .top_k = 6,
                                                .groups = 1,
                                                .kept_groups = 1,
                                                .normalize = false}),
                              0);
}

/// A softmax over all experts, to which a bias is added for the choice, over the chosen's sum. Mixtures are every
/// moe_layer_interval-th layer of a range. Source: Ernie4_5_MoeSparseMoeBlock, transformers 4.57 and 5.24.
inline FeedForwards ernie_experts(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"moe_num_experts", "num_experts"}, {"moe_k", "num_experts_per_tok"}});
  const std::string activation = c.text("hidden_act", "silu");
  const bool bias = c.boolean("use_bias", false);
  const int64_t inner = c.size("moe_intermediate_size", 1536), shared = c.count("moe_num_shared_experts", 2);
  MixtureFeedForward form{.experts = {.count = c.size("moe_num_experts", 64),
                                      .hidden = hidden,
                                      .inner = inner,
                                      .bias = bias && !c.written_since(5, 0)},  // stacked, they have lost it
                          .options = {.top_k = c.size("moe_k", 6), .normalize = true, .activation = activation},
                          .balance = "e_score_correction_bias",
                          .balance_in_row = true,
                          .least_sum = c.real("moe_norm_min", 1e-12)};
  require_at_most({"moe_k", form.options.top_k}, {"moe_num_experts", form.experts.count});
  if (shared > 0) form.shared = gated_feed_forward(inner * shared, activation, bias);
  form.balance_at = "gate.moe_statics";
  const MixtureAt in_memory{"mlp", form};
  form.balance_at = "moe_statics";
  const int64_t first = c.integer("moe_layer_start_index", 1), last = c.integer("moe_layer_end_index", -1),
                interval = c.size("moe_layer_interval", 1);
  return {.mixture = {{"mlp", form}, in_memory},
          .is_mixture = [=](int64_t i) { return (i + 1) % interval == 0 && i >= first && (last == -1 || i <= last); },
          .dense = gated_feed_forward(c.size("intermediate_size", 12288), activation, bias)};
}

}  // namespace mixtral

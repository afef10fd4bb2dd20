// SPDX-License-Identifier: Apache-2.0
// The mixtures of experts among Llama's relatives, each as its config class states it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>

namespace llama {

using namespace onnxport::sdk;

namespace detail {

/// Whether a layer has a mixture, by mlp_layer_types; where the config has no list, from the layer `dense` on.
inline std::function<bool(int64_t)> sparse_layers(const Config& c, int64_t dense) {
  const LayerTypes of{.layers = c.count("num_hidden_layers", 32),
                      .known = {"dense", "sparse"},
                      .otherwise = [dense](int64_t i) { return i < dense ? "dense" : "sparse"; },
                      .field = "mlp_layer_types"};
  return [types = layer_types(c, of)](int64_t i) { return types[static_cast<size_t>(i)] == "sparse"; };
}

/// A number for all layers, or a list of the same one for each of them.
inline int64_t one_for_all(const Config& c, const char* field, int64_t otherwise) {
  if (!c.is_list(field)) return c.size(field, otherwise);
  const std::vector<int64_t> listed = c.integers(field);
  if (listed.empty() || std::any_of(listed.begin(), listed.end(), [&](int64_t n) { return n != listed[0] || n < 1; })) {
    throw Error(ONNXPORT_UNSUPPORTED, std::string("config field '") + field +
                                          "' is a list of different numbers; supported: one positive number for all "
                                          "layers");
  }
  return listed[0];
}

}  // namespace detail

/// DeepSeek's choice, of all experts unless there are groups. Source: ExaoneMoeSparseMoEBlock, transformers 5.24.
inline FeedForwards exaone_experts(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"n_shared_experts", "num_shared_experts"}});
  const MixtureFeedForward in_memory = deepseek_mixture(c, hidden,
                                                        {.inner = 1024,
                                                         .experts = 64,
                                                         .shared_experts = 1,
                                                         .top_k = 8,
                                                         .groups = 1,
                                                         .kept_groups = 1,
                                                         .normalize = true,
                                                         .scale = 2.5,
                                                         .experts_also = "num_experts"});
  MixtureFeedForward form = in_memory;
  form.balance_at = "";
  return {.mixture = {{"mlp", form}, {"mlp", in_memory}},
          .is_mixture = detail::sparse_layers(c, c.count("first_k_dense_replace", 1)),
          .dense = gated_feed_forward(c.size("intermediate_size", 16384), form.options.activation)};
}

/// DeepSeek's, under names of their own. Source: SarvamMoEConfig, transformers 5.24, whose model is GLM 4.5's.
inline FeedForwards sarvam_experts(const Config& config, int64_t hidden) {
  const Config c =
      config.with_names({{"n_shared_experts", "num_shared_experts"}, {"n_routed_experts", "num_local_experts"}});
  if (!c.boolean("use_qk_norm", true)) {
    throw Error(ONNXPORT_UNSUPPORTED, "config field 'use_qk_norm' is false; supported for sarvam_moe: true");
  }
  c.no_effect({"num_mtp_layers", "num_nextn_predict_layers"});
  MixtureFeedForward form = deepseek_mixture(c, hidden,
                                             {.inner = 1024,
                                              .experts = 128,
                                              .shared_experts = 1,
                                              .top_k = 6,
                                              .groups = 1,
                                              .kept_groups = 1,
                                              .normalize = true,
                                              .scale = 2.5,
                                              .experts_also = "num_experts"});
  form.balance = "expert_bias";
  const int64_t first = c.count("first_k_dense_replace", 1);
  return {.mixture = {{"mlp", form}},
          .is_mixture = [first](int64_t i) { return i >= first; },
          .dense = gated_feed_forward(c.size("intermediate_size", 8192), form.options.activation)};
}

/// A softmax over all experts, over the chosen's sum, beside a feed-forward that all tokens share.
/// Source: HunYuanMoEV1Moe, transformers 5.24.
inline FeedForwards hunyuan_experts(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"num_experts", "num_local_experts"}, {"moe_topk", "num_experts_per_tok"}});
  const std::string activation = c.text("hidden_act", "silu");
  const int64_t inner = c.size("intermediate_size", 11008);
  MixtureFeedForward form{
      .experts = {.count = c.size("num_experts", 1), .hidden = hidden, .inner = inner},
      .options = {.top_k = detail::one_for_all(c, "moe_topk", 1), .normalize = true, .activation = activation},
      .router = "gate.wg",
      .shared = gated_feed_forward(inner, activation),
      .shared_at = "shared_mlp"};
  require_at_most({"moe_topk", form.options.top_k}, {"num_experts", form.experts.count});
  return {.mixture = {{"mlp", form}}};
}

/// Source: GraniteMoeSWADecoderLayer, transformers 5.24.
inline FeedForwards granite_swa_experts(const Config& c, int64_t hidden) {
  FeedForwards all = beside_shared(granite_experts(c, hidden), c.count("shared_intermediate_size", 0));
  std::reverse(all.mixture.begin(), all.mixture.end());  // it is published as transformers 5 has it in memory
  return all;
}

/// Qwen3's, in the layers that mlp_layer_types tells. Source: MellumSparseMoeBlock, transformers 5.24.
inline FeedForwards mellum_experts(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"num_experts", "num_local_experts"}});
  MixtureFeedForward form{
      .experts = {.count = c.size("num_experts", 64), .hidden = hidden, .inner = c.size("moe_intermediate_size", 896)},
      .options = {.top_k = c.size("num_experts_per_tok", 8),
                  .normalize = c.boolean("norm_topk_prob", true),
                  .activation = c.text("hidden_act", "silu")}};
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
  c.no_effect({"num_mtp_layers", "num_nextn_predict_layers", "mtp_layer_types", "mtp_mlp_layer_types"});
  return {.mixture = {{"mlp", form}},
          .is_mixture = detail::sparse_layers(c, 0),
          .dense = gated_feed_forward(c.size("intermediate_size", 7168), form.options.activation)};
}

/// Experts by their affinity alone, in Qwen's layers, beside a feed-forward that all tokens share.
/// Source: FlintSparseMoeBlock, transformers 5.24.
inline FeedForwards flint_experts(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"num_experts", "num_local_experts"}});
  const std::string activation = c.text("hidden_act", "silu");
  MixtureFeedForward form{
      .experts = {.count = c.size("num_experts", 256), .hidden = hidden, .inner = c.size("moe_intermediate_size", 512)},
      .options = {.top_k = c.size("num_experts_per_tok", 6),
                  .normalize = c.boolean("norm_topk_prob", true),
                  .activation = activation},
      .scores = MixtureFeedForward::Scores::sigmoid,
      .shared = gated_feed_forward(c.size("shared_expert_intermediate_size", 1024), activation),
      .shared_at = "shared_expert"};
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
  const bool listed = c.has("mlp_only_layers") && !c.is_null("mlp_only_layers");
  const std::vector<int64_t> dense = listed ? c.integers("mlp_only_layers") : std::vector<int64_t>{0, 1};
  return {.mixture = {{"mlp", form}},
          .is_mixture =
              [dense, step = c.size("decoder_sparse_step", 1)](int64_t i) {
                return (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), i) == dense.end();
              },
          .dense = gated_feed_forward(c.size("intermediate_size", 6144), activation)};
}

/// Experts by their affinity and a bias that balances their load; the first layer is dense. Source: HYV3MoE,
/// transformers 5.24.
inline FeedForwards hunyuan_v3_experts(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"num_experts", "num_local_experts"}});
  const std::string activation = c.text("hidden_act", "silu");
  const bool bias = c.boolean("mlp_bias", false);
  const int64_t inner = c.size("moe_intermediate_size", 1536);
  MixtureFeedForward in_memory{.experts = {.count = c.size("num_experts", 192), .hidden = hidden, .inner = inner},
                               .options = {.top_k = c.size("num_experts_per_tok", 8),
                                           .normalize = true,
                                           .normalize_epsilon = 1e-20,
                                           .scale = c.real("router_scaling_factor", 2.826),
                                           .activation = activation},
                               .scores = MixtureFeedForward::Scores::sigmoid,
                               .balance = "e_score_correction_bias",
                               .balance_at = "",
                               .shared = gated_feed_forward(inner * c.size("num_shared_experts", 1), activation, bias)};
  require_at_most({"num_experts_per_tok", in_memory.options.top_k}, {"num_experts", in_memory.experts.count});
  c.no_effect({"enable_moe_fp32_combine"});
  MixtureFeedForward form = in_memory;
  form.router = "router.gate";
  form.balance = "expert_bias";
  form.shared_at = "shared_mlp";
  return {.mixture = {{"mlp", form}, {"mlp", in_memory}},
          .is_mixture = detail::sparse_layers(c, 1),
          .dense = gated_feed_forward(c.size("intermediate_size", 13312), activation, bias)};
}

}  // namespace llama

// SPDX-License-Identifier: Apache-2.0
// Mixtures of experts as config.json states them: Mixtral's and DeepSeek's, of which others are relatives.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/config.hpp>

namespace onnxport::sdk {

/// A feed-forward with gate_proj, up_proj and down_proj.
inline FeedForward gated_feed_forward(int64_t inner, const std::string& activation, bool bias = false) {
  return {.inner = inner, .activation = activation, .gate = "gate_proj", .bias = bias};
}

/// The feed-forwards of a decoder's layers, of which some or all are mixtures.
struct FeedForwards {
  std::vector<MixtureAt> mixture;                ///< under the names of each release that saves it otherwise
  std::function<bool(int64_t)> is_mixture{};     ///< a layer, by its number; absent: all are
  FeedForward dense{.inner = 0, .bias = false};  ///< of the others, in the module "mlp"

  /// Gives a layer, `scope`, its own.
  void put_into(TransformerLayer& form, const Scope& scope, int64_t layer) const {
    if (is_mixture && !is_mixture(layer)) {
      form.feed_forward = dense;
      return;
    }
    const MixtureAt& saved = saved_form(scope, mixture);
    form.feed_forward_at = saved.module;
    form.mixture = saved.form;
  }
};

/// What the config classes of Mixtral's relatives say where a config does not.
struct MixtralMixture {
  int64_t inner = 14336, experts = 8, top_k = 2;
};

/// Mixtral's mixture: experts with w1, w2 and w3, which share a token by a softmax over the chosen ones.
/// Source: MixtralSparseMoeBlock, transformers 4.57 and 5.24.
inline MixtureFeedForward mixtral_mixture(const Config& config, int64_t hidden, const MixtralMixture& defaults) {
  const Config c = config.with_names({{"num_local_experts", "num_experts"}});
  MixtureFeedForward form{.experts = {.count = c.size("num_local_experts", defaults.experts),
                                      .hidden = hidden,
                                      .inner = c.size("intermediate_size", defaults.inner),
                                      .gate = "w1",
                                      .up = "w3",
                                      .down = "w2"},
                          .options = {.top_k = c.size("num_experts_per_tok", defaults.top_k),
                                      .normalize = true,
                                      .activation = c.text("hidden_act", "silu")}};
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_local_experts", form.experts.count});
  return form;
}
/// The same in all layers, as published ("block_sparse_moe") and as transformers 5 has it in memory ("mlp").
inline FeedForwards mixtral_feed_forwards(const Config& c, int64_t hidden, const MixtralMixture& defaults = {}) {
  const MixtureFeedForward form = mixtral_mixture(c, hidden, defaults);
  return {.mixture = {{"block_sparse_moe", form}, {"mlp", form}}};
}

/// Mixtral's choice between experts that are stored as two tensors. Source: GraniteMoeMoE, transformers 4.57 and 5.24.
inline FeedForwards granite_experts(const Config& c, int64_t hidden) {
  MixtureFeedForward form = mixtral_mixture(c, hidden, {.inner = 11008});
  form.experts.up.clear();
  form.router = "router";
  const MixtureAt in_memory{"block_sparse_moe", form};
  form.router = "router.layer";
  form.experts_at.clear();
  form.experts.stacked_up = "input_linear.weight";
  form.experts.stacked_down = "output_linear.weight";
  return {.mixture = {{"block_sparse_moe", form}, in_memory}};
}
/// The feed-forward that all tokens share in Granite's layers, in the module "shared_mlp".
inline FeedForward granite_shared(int64_t inner, const std::string& activation) {
  return {.inner = inner, .activation = activation, .down = "output_linear", .gate_up = "input_linear"};
}
/// Granite's experts beside such a one, both in the layer itself; `inner` is 0 where there is none.
/// Source: GraniteMoeSharedDecoderLayer, transformers 4.57 and 5.24.
inline FeedForwards beside_shared(FeedForwards all, int64_t inner) {
  for (MixtureAt& at : all.mixture) {
    MixtureFeedForward& form = at.form;
    form.router = at.module + "." + form.router;
    form.experts_at = form.experts_at.empty() ? at.module : at.module + "." + form.experts_at;
    at.module.clear();
    if (inner == 0) continue;
    form.shared = granite_shared(inner, form.options.activation);
    form.shared_at = "shared_mlp";
  }
  return all;
}

/// What the config classes of DeepSeek's relatives say where a config does not, or the published models where they are
/// silent.
struct DeepseekMixture {
  int64_t inner, experts, shared_experts, top_k;
  int64_t groups, kept_groups;
  bool normalize;
  double scale = 1;
  const char* experts_also = "num_local_experts";  ///< another name of n_routed_experts
};

/// DeepSeekMoE (arXiv:2412.19437, section 2.1.2): experts are chosen by their affinity and a bias that balances their
/// load, which has no part in what they count; and from a few groups only, so that few machines work on a token.
/// Source: DeepseekV3MoE, Glm4MoeMoE and Dots1MoE, transformers 4.57 and 5.24.
inline MixtureFeedForward deepseek_mixture(const Config& config, int64_t hidden, const DeepseekMixture& defaults) {
  const Config c = config.with_names({{"n_routed_experts", defaults.experts_also}});
  const int64_t inner = c.size("moe_intermediate_size", defaults.inner);
  const std::string activation = c.text("hidden_act", "silu");
  MixtureFeedForward form{
      .experts = {.count = c.size("n_routed_experts", defaults.experts), .hidden = hidden, .inner = inner},
      .options = {.top_k = c.size("num_experts_per_tok", defaults.top_k),
                  .normalize = c.boolean("norm_topk_prob", defaults.normalize),
                  .normalize_epsilon = 1e-20,
                  .scale = c.real("routed_scaling_factor", defaults.scale),
                  .activation = activation},
      .scores = MixtureFeedForward::Scores::sigmoid,
      .balance = "e_score_correction_bias",
      .groups =
          ExpertGroups{.count = c.size("n_group", defaults.groups), .kept = c.size("topk_group", defaults.kept_groups)},
      .shared = gated_feed_forward(c.size("n_shared_experts", defaults.shared_experts) * inner, activation)};
  if (c.written_before(5, 0)) form.groups->outside = 0;  // and so before what is inside and worth less
  require_multiple({"n_routed_experts", form.experts.count}, {"n_group", form.groups->count});
  require_at_most({"topk_group", form.groups->kept}, {"n_group", form.groups->count});
  require_at_most({"num_experts_per_tok", form.options.top_k},
                  {"the experts of topk_group groups", form.groups->kept * (form.experts.count / form.groups->count)});
  return form;
}

/// The fields that mixtures have for their training alone.
inline void no_effect_of_router_training(const Config& c) {
  c.no_effect({"output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "input_jitter_noise",
               "aux_loss_alpha", "seq_aux"});
}

}  // namespace onnxport::sdk

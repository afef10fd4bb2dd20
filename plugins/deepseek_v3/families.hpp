// SPDX-License-Identifier: Apache-2.0
// What tells DeepSeek-V2 and V3 apart.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>

namespace deepseek {

using namespace onnxport::sdk;

/// How a head's pairs lie that are turned together.
enum class Pairs {
  neighbours,           ///< and stay so
  halves,               ///< and stay so
  halves_of_neighbours  ///< they become halves, unless rope_interleave says that they are
};

/// What the config class of a type says where a config does not.
struct Defaults {
  int64_t vocab, hidden, layers, heads, positions, dense_layers, inner;
  int64_t query_rank = 1536;  // 0: queries have no latent
  int64_t kv_rank = 512;
  int64_t nope = 128, rope = 64;
  int64_t value = 128;  // 0: hidden size / heads
  double epsilon = 1e-6;
  bool tied = false;
};

struct Family {
  const char* type;
  Defaults otherwise;
  MixtureFeedForward (*mixture)(const Config&, int64_t hidden) = nullptr;  // absent where all layers are dense
  /// Which of so many layers have no mixture; `otherwise` are the first.
  std::vector<bool> (*dense)(const Config&, int64_t layers, int64_t otherwise);
  Pairs pairs;
  bool caches_latents;                // which all heads share, in place of every head's keys and values
  bool mlp_bias;                      // by the field of this name
  const char* norm_of_mixtures = "";  // of what a mixture yields, in the layer; "": none
  bool multiplies = false;            // embeddings, branches and logits
  const char *classes = "score", *token_classes = "";
};

/// MiniCPM's factors. Source: MiniCPM3Config, transformers 5.24.
struct Multipliers {
  double embedding = 1, residual = 1, logits = 1;
};
inline Multipliers multipliers_of(const Config& c, const Family& family, int64_t hidden, int64_t layers) {
  if (!family.multiplies) return {};
  const double depth = std::sqrt(static_cast<double>(layers)), width = static_cast<double>(hidden);
  return {.embedding = c.real("scale_emb", 12),
          .residual = c.is_null("scale_depth") ? 1 : c.real("scale_depth", 1.4) / depth,
          .logits = c.is_null("dim_model_base") ? 1 : static_cast<double>(c.size("dim_model_base", 256)) / width};
}

/// V3's (section 2.1.2). Source: DeepseekV3MoE, transformers 4.57 and 5.24.
inline MixtureFeedForward balanced(const Config& c, int64_t hidden) {
  return deepseek_mixture(c, hidden,
                          {.inner = 2048,
                           .experts = 256,
                           .shared_experts = 1,
                           .top_k = 8,
                           .groups = 8,
                           .kept_groups = 4,
                           .normalize = true,
                           .scale = 2.5});
}

/// V2's (arXiv:2405.04434, section 2.2): the best by a softmax, of all or of the groups with the best experts.
/// Source: DeepseekV2MoE, transformers 4.57 and 5.24, which do not normalise, whatever norm_topk_prob says.
inline MixtureFeedForward greedy(const Config& config, int64_t hidden) {
  const Config c = config.with_names({{"n_routed_experts", "num_experts"}});
  const int64_t inner = c.size("moe_intermediate_size", 1407);
  const std::string activation = c.text("hidden_act", "silu");
  const bool bias = c.boolean("mlp_bias", false);
  MixtureFeedForward form{.experts = {.count = c.size("n_routed_experts", 64),
                                      .hidden = hidden,
                                      .inner = inner,
                                      .bias = bias && !c.written_since(5, 0)},  // stacked, they have lost it
                          .options = {.top_k = c.size("num_experts_per_tok", 6),
                                      .scale = c.real("routed_scaling_factor", 1),
                                      .activation = activation},
                          .shared = gated_feed_forward(c.size("n_shared_experts", 2) * inner, activation, bias)};
  int64_t candidates = form.experts.count;
  if (c.choice("topk_method", "greedy", {"greedy", "group_limited_greedy"}) == "group_limited_greedy") {
    form.groups = ExpertGroups{.count = c.size("n_group"), .kept = c.size("topk_group"), .judged_by = 1};
    require_multiple({"n_routed_experts", form.experts.count}, {"n_group", form.groups->count});
    require_at_most({"topk_group", form.groups->kept}, {"n_group", form.groups->count});
    candidates = form.groups->kept * (form.experts.count / form.groups->count);
  }
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"the experts to choose from", candidates});
  return form;
}

/// Source: Glm4MoeLiteMoE, transformers 5.24.
inline MixtureFeedForward balanced_lite(const Config& c, int64_t hidden) {
  return deepseek_mixture(c, hidden,
                          {.inner = 1536,
                           .experts = 64,
                           .shared_experts = 1,
                           .top_k = 4,
                           .groups = 1,
                           .kept_groups = 1,
                           .normalize = true,
                           .scale = 1.8});
}

/// Source: AXK1MoE, transformers 5.24.
inline MixtureFeedForward balanced_of_192(const Config& c, int64_t hidden) {
  return deepseek_mixture(c, hidden,
                          {.inner = 2048,
                           .experts = 192,
                           .shared_experts = 1,
                           .top_k = 8,
                           .groups = 8,
                           .kept_groups = 4,
                           .normalize = true,
                           .scale = 2.5});
}

/// Source: SarvamMLAConfig, transformers 5.24; published configs have names of their own.
inline MixtureFeedForward balanced_of_128(const Config& config, int64_t hidden) {
  const Config c =
      config.with_names({{"n_shared_experts", "num_shared_experts"}, {"n_routed_experts", "num_local_experts"}});
  return deepseek_mixture(c, hidden,
                          {.inner = 2048,
                           .experts = 128,
                           .shared_experts = 1,
                           .top_k = 8,
                           .groups = 1,
                           .kept_groups = 1,
                           .normalize = true,
                           .scale = 2.5,
                           .experts_also = "num_experts"});
}

/// The first few layers, by their number.
inline std::vector<bool> first_dense(const Config& c, int64_t layers, int64_t otherwise) {
  require_at_most({"num_hidden_layers", layers}, {"as many as any model has", 100'000});
  const int64_t first = c.count("first_k_dense_replace", otherwise);
  std::vector<bool> dense(static_cast<size_t>(layers), false);
  std::fill_n(dense.begin(), std::min(first, layers), true);
  return dense;
}

/// Every one.
inline std::vector<bool> all_dense(const Config& /*c*/, int64_t layers, int64_t /*otherwise*/) {
  require_at_most({"num_hidden_layers", layers}, {"as many as any model has", 100'000});
  return std::vector<bool>(static_cast<size_t>(layers), true);
}

/// Those that mlp_layer_types calls so. Source: Glm4MoeLiteConfig, transformers 5.24.
inline std::vector<bool> listed_dense(const Config& c, int64_t layers, int64_t otherwise) {
  const int64_t first = c.has("mlp_layer_types") ? 0 : c.count("first_k_dense_replace", otherwise);
  const LayerTypes of{.layers = layers,
                      .known = {"dense", "sparse"},
                      .otherwise = [=](int64_t i) { return i < first ? "dense" : "sparse"; },
                      .field = "mlp_layer_types"};
  std::vector<bool> dense;
  for (const std::string& type : layer_types(c, of)) dense.push_back(type == "dense");
  return dense;
}

inline const Family families[] = {
    {.type = "deepseek_v2",
     .otherwise = {.vocab = 102400,
                   .hidden = 4096,
                   .layers = 32,
                   .heads = 32,
                   .positions = 2048,
                   .dense_layers = 0,
                   .inner = 11008},
     .mixture = greedy,
     .dense = first_dense,
     .pairs = Pairs::neighbours,
     .caches_latents = true,
     .mlp_bias = true},
    {.type = "deepseek_v3",
     .otherwise = {.vocab = 129280,
                   .hidden = 7168,
                   .layers = 61,
                   .heads = 128,
                   .positions = 4096,
                   .dense_layers = 3,
                   .inner = 18432},
     .mixture = balanced,
     .dense = first_dense,
     .pairs = Pairs::halves_of_neighbours,
     .caches_latents = false,
     .mlp_bias = false,
     .token_classes = "score"},
    {.type = "glm4_moe_lite",
     .otherwise = {.vocab = 154880,
                   .hidden = 2048,
                   .layers = 47,
                   .heads = 20,
                   .positions = 202752,
                   .dense_layers = 1,
                   .inner = 10240,
                   .query_rank = 768,
                   .nope = 192,
                   .value = 256,
                   .epsilon = 1e-5},
     .mixture = balanced_lite,
     .dense = listed_dense,
     .pairs = Pairs::halves_of_neighbours,
     .caches_latents = true,
     .mlp_bias = false,
     .classes = ""},
    {.type = "axk1",
     .otherwise = {.vocab = 163840,
                   .hidden = 7168,
                   .layers = 61,
                   .heads = 64,
                   .positions = 32768,
                   .dense_layers = 1,
                   .inner = 18432},
     .mixture = balanced_of_192,
     .dense = listed_dense,
     .pairs = Pairs::halves_of_neighbours,
     .caches_latents = true,
     .mlp_bias = false,
     .norm_of_mixtures = "post_mlp_layernorm",
     .token_classes = "score"},
    {.type = "sarvam_mla",
     .otherwise = {.vocab = 262144,
                   .hidden = 4096,
                   .layers = 32,
                   .heads = 64,
                   .positions = 4096,
                   .dense_layers = 1,
                   .inner = 16384,
                   .query_rank = 0},
     .mixture = balanced_of_128,
     .dense = first_dense,
     .pairs = Pairs::halves_of_neighbours,
     .caches_latents = true,
     .mlp_bias = false,
     .classes = ""},
    {.type = "minicpm3",
     .otherwise = {.vocab = 73448,
                   .hidden = 2560,
                   .layers = 62,
                   .heads = 40,
                   .positions = 32768,
                   .dense_layers = 0,
                   .inner = 6400,
                   .query_rank = 768,
                   .kv_rank = 256,
                   .nope = 64,
                   .rope = 32,
                   .value = 0,
                   .epsilon = 1e-5,
                   .tied = true},
     .dense = all_dense,
     .pairs = Pairs::halves,
     .caches_latents = true,
     .mlp_bias = true,
     .multiplies = true},
    {.type = "youtu",
     .otherwise = {.vocab = 128256,
                   .hidden = 2048,
                   .layers = 32,
                   .heads = 16,
                   .positions = 131072,
                   .dense_layers = 0,
                   .inner = 6144,
                   .tied = true},
     .dense = all_dense,
     .pairs = Pairs::halves_of_neighbours,
     .caches_latents = true,
     .mlp_bias = false,
     .classes = ""},
};

}  // namespace deepseek

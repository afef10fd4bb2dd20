// SPDX-License-Identifier: Apache-2.0
// What config.json says of an LFM2.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/blocks/mixture_of_experts.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/rotary.hpp>

namespace lfm2 {

using namespace onnxport::sdk;

/// The width within a feed-forward, of which config.json may state what it is adjusted from: two thirds of it, times a
/// factor, as a multiple of a number. Source: Lfm2MLP, transformers 5.24.
inline int64_t adjusted_width(const Config& c) {
  const int64_t stated = c.with_names({{"intermediate_size", "block_ff_dim"}}).size("intermediate_size", 12288);
  const bool adjusts = c.boolean("block_auto_adjust_ff_dim", true);
  const double factor = c.real("block_ffn_dim_multiplier", 1);
  const int64_t step = c.size("block_multiple_of", 256);
  if (!adjusts) return stated;
  const auto reduced = static_cast<int64_t>(2.0 * static_cast<double>(stated) / 3);
  // Without a factor it is no multiple either.
  if (c.is_null("block_ffn_dim_multiplier")) return reduced;
  return (static_cast<int64_t>(factor * static_cast<double>(reduced)) + step - 1) / step * step;
}

/// Experts that are chosen by their affinity and, where they have one, a bias that has no part in what they count.
/// Source: Lfm2MoeSparseMoeBlock, transformers 5.24.
inline std::vector<MixtureAt> mixtures(const Config& c, int64_t hidden) {
  MixtureFeedForward form{.experts = {.count = c.size("num_experts", 32),
                                      .hidden = hidden,
                                      .inner = c.size("moe_intermediate_size", 1792),
                                      .gate = "w1",
                                      .up = "w3",
                                      .down = "w2"},
                          .options = {.top_k = c.size("num_experts_per_tok", 4),
                                      .normalize = c.boolean("norm_topk_prob", true),
                                      .normalize_epsilon = 1e-6,
                                      .scale = c.real("routed_scaling_factor", 1)},
                          .scores = MixtureFeedForward::Scores::sigmoid,
                          .balance = c.boolean("use_expert_bias", true) ? "expert_bias" : "",
                          .balance_at = ""};
  require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
  return {{"", form}};
}

struct Lfm2Config {
  Lfm2Config(const Config& c, bool has_experts)
      : vocab(c.size("vocab_size", 65536)),
        hidden(c.size("hidden_size", has_experts ? 2048 : 2560)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", 8)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        kernel(c.size("conv_L_cache", 3)),
        positions(c.size("max_position_embeddings", 128000)),
        bias(c.boolean("conv_bias", false)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("norm_eps", 1e-5)},
        feed_forward{.inner = has_experts ? c.size("intermediate_size", 7168) : adjusted_width(c),
                     .activation = "silu",
                     .up = "w3",
                     .down = "w2",
                     .gate = "w1"},
        types(types_of(c, layers)),
        rotary(c, head_size, RotaryFields{.theta = c.real("theta", c.real("rope_theta", 1e6))}),
        tied(c.with_names({{"tie_word_embeddings", "tie_embedding"}}).tie(true)) {
    if (has_experts) {
      mixture = mixtures(c, hidden);
      dense_layers = c.count("num_dense_layers", 2);
      c.no_effect({"output_router_logits"});
    }
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, kernel, positions;
  bool bias;  // of the convolutions' modules
  Norm norm;
  FeedForward feed_forward;
  std::optional<std::vector<MixtureAt>> mixture;
  int64_t dense_layers = 0;        // the first ones, of a model with experts
  std::vector<std::string> types;  // of each layer
  Rotary rotary;
  Tie tied;

  bool convolves(int64_t layer) const { return types[static_cast<size_t>(layer)] == "conv"; }

 private:
  static std::vector<std::string> types_of(const Config& c, int64_t layers) {
    const bool listed = c.has("full_attn_idxs");
    const std::vector<int64_t> attending = c.integers("full_attn_idxs");
    const auto attends = [&](int64_t i) {
      return !listed || std::find(attending.begin(), attending.end(), i) != attending.end();
    };
    return layer_types(
        c, {layers, {"full_attention", "conv"}, [&](int64_t i) { return attends(i) ? "full_attention" : "conv"; }});
  }
};

}  // namespace lfm2

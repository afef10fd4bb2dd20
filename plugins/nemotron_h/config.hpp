// SPDX-License-Identifier: Apache-2.0
// What config.json says of a Nemotron-H.
#pragma once

#include <string>
#include <vector>

#include <onnxport/families/mixtures.hpp>
#include <onnxport/families/state_space_hybrids.hpp>

namespace nemotron_h {

using namespace onnxport::sdk;

inline const std::string mamba = "linear_attention", full = "full_attention", mlp = "mlp", moe = "moe";

/// The kind of each layer: a list of words, or in older configs a letter each. Throws CONFIG where a letter is none of
/// these.
inline std::vector<std::string> kinds(const Config& c) {
  const std::string pattern = c.text("hybrid_override_pattern", "");
  const Config named = c.with_names({{"layers_block_type", "layer_types"}});
  if (const std::vector<std::string> listed = named.texts("layers_block_type"); !listed.empty()) {
    return in_newer_words(layer_types(
        named,
        {static_cast<int64_t>(listed.size()), {mamba, full, mlp, moe, "mamba", "attention"}, {}, "layers_block_type"}));
  }
  if (pattern.empty()) return {mamba, moe, full, mlp};
  std::vector<std::string> all;
  for (const char letter : pattern) {
    switch (letter) {
      case 'M':
        all.push_back(mamba);
        break;
      case '*':
        all.push_back(full);
        break;
      case '-':
        all.push_back(mlp);
        break;
      case 'E':
        all.push_back(moe);
        break;
      default:
        throw Error(ONNXPORT_CONFIG, std::string("config field 'hybrid_override_pattern' has the letter '") + letter +
                                         "'; expected M (Mamba), * (attention), - (feed-forward) and E (experts)");
    }
  }
  return all;
}

/// Source: NemotronHMamba2Mixer, transformers 5.24.
inline StateSpaceMixer mixer_of(const Config& config, double epsilon) {
  const Config c = config.with_names({{"mamba_n_groups", "n_groups"},
                                      {"mamba_d_conv", "conv_kernel"},
                                      {"mamba_conv_bias", "use_conv_bias"},
                                      {"mamba_dt_min", "time_step_min"}});
  const bool bias = c.boolean("use_bias", false);
  StateSpaceMixer form{.space = {.heads = c.size("mamba_num_heads", 128),
                                 .head_size = c.size("mamba_head_dim", 64),
                                 .groups = c.size("mamba_n_groups", 8),
                                 .state = c.size("ssm_state_size", 128)},
                       .kernel = c.size("mamba_d_conv", 4),
                       .convolution_bias = c.boolean("mamba_conv_bias", true),
                       .input_bias = bias,
                       .output_bias = bias,
                       .activation = c.text("mamba_hidden_act", "silu"),
                       .least_step = c.real("mamba_dt_min", 0.001),
                       .epsilon = epsilon};
  require_multiple({"mamba_num_heads", form.space.heads}, {"n_groups", form.space.groups});
  return form;
}

/// DeepSeek's choice between experts without gates. Source: NemotronHMoE, transformers 5.24.
inline MixtureFeedForward mixture_of(const Config& c, int64_t hidden) {
  MixtureFeedForward form = deepseek_mixture(
      c, c.size("moe_latent_size", hidden),
      {.inner = 7688, .experts = 8, .shared_experts = 1, .top_k = 2, .groups = 1, .kept_groups = 1, .normalize = true});
  const bool bias = c.boolean("mlp_bias", false);
  form.experts.gated = false;
  form.experts.stacked_up = "up_proj";
  form.options.activation = c.text("mlp_hidden_act", "relu2");
  form.shared = FeedForward{.inner = c.size("moe_shared_expert_intermediate_size", 7688),
                            .activation = form.options.activation,
                            .bias = bias};
  if (c.has("moe_latent_size")) form.latent = {.bias = bias};
  return form;
}

struct NemotronHConfig {
  explicit NemotronHConfig(const Config& c)
      : vocab(c.size("vocab_size", 131072)),
        hidden(c.size("hidden_size", 4096)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 8)),
        head_size(c.size("head_dim", 128)),
        positions(c.size("max_position_embeddings", 4096)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("layer_norm_epsilon", 1e-5)},
        types(kinds(c)),
        mixer(mixer_of(c, norm.epsilon)),
        feed_forward{.inner = c.size("intermediate_size", 21504),
                     .activation = c.text("mlp_hidden_act", "relu2"),
                     .bias = c.boolean("mlp_bias", false)},
        mixture(mixture_of(c, hidden)),
        tied(c.tie(false)) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    no_effect_of_router_training(c);
    // What the list of layers tells, how the computation goes, what weights begin with, and the layers that guess
    // further tokens, which the original does not load.
    c.no_effect({"num_hidden_layers",
                 "attention_bias",
                 "sliding_window",
                 "use_mamba_kernels",
                 "chunk_size",
                 "mamba_chunk_size",
                 "mamba_proj_bias",
                 "mamba_ssm_cache_dtype",
                 "expand",
                 "mamba_expand",
                 "time_step_limit",
                 "mamba_dt_limit",
                 "time_step_max",
                 "mamba_dt_max",
                 "time_step_floor",
                 "mamba_dt_init_floor",
                 "moe_shared_expert_overlap",
                 "num_nextn_predict_layers",
                 "mtp_layers_block_type",
                 "mtp_hybrid_override_pattern",
                 "residual_in_fp32",
                 "hidden_dropout",
                 "rescale_prenorm_residual",
                 "num_logits_to_keep"});
  }
  int64_t vocab, hidden, heads, kv_heads, head_size, positions;
  Norm norm;
  std::vector<std::string> types;  // of each layer
  StateSpaceMixer mixer;
  FeedForward feed_forward;
  MixtureFeedForward mixture;
  Tie tied;

  const std::string& type(int64_t layer) const { return types[static_cast<size_t>(layer)]; }
};

}  // namespace nemotron_h

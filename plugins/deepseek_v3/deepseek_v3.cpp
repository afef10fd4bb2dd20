// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2, V3 and what is made like them. Sections are those of V3's technical report (arXiv:2412.19437).
// Source: DeepseekV2Model, DeepseekV3Model and their heads, transformers 4.57 and 5.24; Glm4MoeLiteModel, 5.24. What V2
// caches is 5.24's; its scores are multiplied by YaRN's magnitude, as in 5.24 and in the published model, which 4.57
// leaves out.
#include <algorithm>

#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

#include "families.hpp"

using namespace deepseek;

namespace {

struct DeepseekConfig {
  DeepseekConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", family.otherwise.vocab)),
        hidden(c.size("hidden_size", family.otherwise.hidden)),
        layers(c.count("num_hidden_layers", family.otherwise.layers)),
        heads(c.size("num_attention_heads", family.otherwise.heads)),
        query_rank(c.is_null("q_lora_rank") ? 0 : c.count("q_lora_rank", family.otherwise.query_rank)),
        kv_rank(c.size("kv_lora_rank", family.otherwise.kv_rank)),
        nope(c.size("qk_nope_head_dim", family.otherwise.nope)),
        rope(c.size("qk_rope_head_dim", family.otherwise.rope)),
        value(c.size("v_head_dim", family.otherwise.value == 0 || c.is_null("v_head_dim")
                                       ? std::max<int64_t>(1, hidden / heads)
                                       : family.otherwise.value)),
        bias(c.boolean("attention_bias", false)),
        as_halves(family.pairs == Pairs::halves_of_neighbours && c.boolean("rope_interleave", true)),
        rotary(c, rope),
        positions(c.size("max_position_embeddings", family.otherwise.positions)),
        is_dense(family.dense(c, layers, family.otherwise.dense_layers)),
        dense(gated_feed_forward(c.size("intermediate_size", family.otherwise.inner), c.text("hidden_act", "silu"),
                                 family.mlp_bias && c.boolean("mlp_bias", false))),
        multipliers(multipliers_of(c, family, hidden, layers)),
        epsilon(c.real("rms_norm_eps", family.otherwise.epsilon)),
        tied(c.tie(family.otherwise.tied)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_equal({"num_key_value_heads", c.size("num_key_value_heads", heads)}, {"num_attention_heads", heads});
    if (std::find(is_dense.begin(), is_dense.end(), false) != is_dense.end()) mixture = family.mixture(c, hidden);
    no_effect_of_router_training(c);
    c.no_effect({"qk_head_dim", "head_dim", "pretraining_tp", "num_nextn_predict_layers", "num_mtp_layers", "ep_size",
                 "moe_layer_freq", "scoring_func", "embedding_initializer_range", "topk_method", "norm_topk_prob",
                 "n_group", "topk_group"});
  }
  int64_t vocab, hidden, layers, heads;
  int64_t query_rank, kv_rank;  // of the latents; 0: queries have none
  int64_t nope, rope, value;    // of each head: what of a key does not turn, what does, and a value
  bool bias;
  bool as_halves;  // pairs that are turned together are neighbours and become halves
  Rotary rotary;
  int64_t positions;
  std::vector<bool> is_dense;  // of each layer
  FeedForward dense;
  MixtureFeedForward mixture{};
  Multipliers multipliers;
  double epsilon;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

class DeepseekOnnxConfig final : public RotaryDecoder {
 public:
  explicit DeepseekOnnxConfig(const Request& request)
      : RotaryDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  /// Latents stand in the cache as one head's keys, and the turned part of all keys as its values.
  int64_t num_key_value_heads() const override { return family.caches_latents ? 1 : c.heads; }
  int64_t head_size() const override { return family.caches_latents ? c.kv_rank : c.nope + c.rope; }
  int64_t value_head_size() const override { return family.caches_latents ? c.rope : c.value; }
  bool has_usual_cache() const override {
    return !family.caches_latents && c.heads * head_size() == c.hidden && c.value == head_size();
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_scale = c.multipliers.logits,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.classes,
            .token_classes = family.token_classes};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*layers." + std::to_string(c.layers) + ".*");  // predicts one more token, in training (section 2.2)
    if (*family.norm_of_mixtures != '\0')
      g.unused(std::string("*.") + family.norm_of_mixtures + ".*");  // of dense layers
    const Angles turns = angles(s, in);
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    if (c.multipliers.embedding != 1) x = x * c.multipliers.embedding;
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Text of_text{turns, cache, i};
      const Attended given{.mask = in.at("attention_mask"),
                           .cache = family.caches_latents ? nullptr : &cache,
                           .layer = i,
                           .probabilities = "attentions." + std::to_string(i)};
      const Scope layer = s / "layers" / i, attention = layer / "self_attn", mlp = layer / "mlp";
      x = residual(layer, x, branch("input_layernorm"), [&](const Value& h) {
        const Value mixed = mix(attention, expand_latents(attention, h, of_text), attention_block(), given);
        return linear(attention / "o_proj", mixed, {.out = c.hidden, .bias = c.bias});
      });
      x = residual(layer, x, branch("post_attention_layernorm"), [&](const Value& h) {
        if (c.is_dense[static_cast<size_t>(i)]) return feed_forward(mlp, h, c.dense);
        const Value mixed = mixture_feed_forward(mlp, h, c.mixture);
        if (*family.norm_of_mixtures == '\0') return mixed;
        // In the layer as published, in the mixture as transformers 5 has it in memory.
        const Scope published = layer / family.norm_of_mixtures, in_memory = mlp / family.norm_of_mixtures;
        return norm(in_memory.has("weight") ? in_memory : published, mixed, rms());
      });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, rms()));
  }

  /// What a layer's latents meet: the angles of the step's tokens, and what it has kept of earlier ones.
  struct Text {
    Angles turns;
    Cache& cache;
    int64_t layer;
  };

  /// Multi-head latent attention (section 2.1.1): tokens are pressed into latents, of which every head's queries, keys
  /// and values are made. Positions turn a part of their own, which for keys is one for all heads.
  QueryKeyValue expand_latents(const Scope& s, const Value& h, const Text& text) const {
    const bool neighbours = family.pairs == Pairs::neighbours;
    const auto turned = [&](const Value& x) {
      return rotate(c.as_halves ? pairs_as_halves(x) : x, text.turns, neighbours);
    };
    const auto [q_nope, q_rope] = split_at(split_heads(queries(s, h), c.heads), c.nope);

    const auto [pressed, shared] =
        split_at(linear(s / "kv_a_proj_with_mqa", h, {.out = c.kv_rank + c.rope, .bias = c.bias}), c.kv_rank);
    Value latent = norm(s / "kv_a_layernorm", pressed, latent_rms), k_rope = turned(unsqueeze(shared, {1}));
    if (family.caches_latents) {
      const std::string layer = std::to_string(text.layer);
      latent = squeeze(text.cache.append(layer + ".key", unsqueeze(latent, {1})), {1});
      k_rope = text.cache.append(layer + ".value", k_rope);
    }
    const Value kv = linear(s / "kv_b_proj", latent, {.out = c.heads * (c.nope + c.value), .bias = false});
    const auto [k_nope, v] = split_at(split_heads(kv, c.heads), c.nope);

    return {concat({q_nope, turned(q_rope)}, -1), concat({k_nope, expand(k_rope, {1, c.heads, 1, 1})}, -1), v};
  }

  Value queries(const Scope& s, const Value& h) const {
    const int64_t width = c.heads * (c.nope + c.rope);
    if (c.query_rank == 0) return linear(s / "q_proj", h, {.out = width, .bias = false});
    const Value latent = linear(s / "q_a_proj", h, {.out = c.query_rank, .bias = c.bias});
    return linear(s / "q_b_proj", norm(s / "q_a_layernorm", latent, latent_rms), {.out = width, .bias = false});
  }

  AttentionBlock attention_block() const {
    const int64_t key = c.nope + c.rope;
    const double scale = c.rotary.score_factor() / std::sqrt(static_cast<double>(key));
    return {.heads = c.heads, .head_size = key, .value_size = c.value, .scale = scale, .causal = true};
  }

  Residual branch(const char* name) const { return {.norm = rms(), .name = name, .scale = c.multipliers.residual}; }
  Norm rms() const { return {.kind = Norm::Kind::rms, .epsilon = c.epsilon}; }
  static constexpr Norm latent_rms{.kind = Norm::Kind::rms, .epsilon = 1e-6};  // whatever the config says of others

  const Family& family;
  const DeepseekConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.deepseek_v3",
    .name = "DeepSeek-V2, V3 and their relatives",
    .models = {{.types = {"glm4_moe_lite", "sarvam_mla", "youtu"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<DeepseekOnnxConfig>},
               {.types = {"deepseek_v2", "minicpm3"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<DeepseekOnnxConfig>},
               {.types = {"deepseek_v3", "axk1"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<DeepseekOnnxConfig>}},
})

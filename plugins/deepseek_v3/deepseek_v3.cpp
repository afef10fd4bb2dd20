// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V3. Sections are those of its technical report (arXiv:2412.19437).
// Source: DeepseekV3Model and its heads, transformers 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/mixture_of_experts.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct DeepseekConfig {
  explicit DeepseekConfig(const Config& c)
      : vocab(c.size("vocab_size", 129280)),
        hidden(c.size("hidden_size", 7168)),
        layers(c.count("num_hidden_layers", 61)),
        heads(c.size("num_attention_heads", 128)),
        query_rank(c.is_null("q_lora_rank") ? 0 : c.size("q_lora_rank", 1536)),
        kv_rank(c.size("kv_lora_rank", 512)),
        nope(c.size("qk_nope_head_dim", 128)),
        rope(c.size("qk_rope_head_dim", 64)),
        value(c.size("v_head_dim", 128)),
        bias(c.boolean("attention_bias", false)),
        interleaved(c.boolean("rope_interleave", true)),
        rotary(c, rope),
        positions(c.size("max_position_embeddings", 4096)),
        dense_layers(c.count("first_k_dense_replace", 3)),
        inner(c.size("intermediate_size", 18432)),
        expert_inner(c.size("moe_intermediate_size", 2048)),
        experts(c.size("n_routed_experts", c.size("num_local_experts", 256))),
        shared_experts(c.size("n_shared_experts", 1)),
        top_k(c.size("num_experts_per_tok", 8)),
        groups{.count = c.size("n_group", 8), .kept = c.size("topk_group", 4)},
        normalize(c.boolean("norm_topk_prob", true)),
        scale(c.real("routed_scaling_factor", 2.5)),
        activation(c.text("hidden_act", "silu")),
        epsilon(c.real("rms_norm_eps", 1e-6)),
        tied(c.tie(false)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    if (c.written_before(5, 0)) groups.outside = 0;  // and so before what is inside and worth less
    require_equal({"num_key_value_heads", c.size("num_key_value_heads", heads)}, {"num_attention_heads", heads});
    if (dense_layers < layers) {
      require_multiple({"n_routed_experts", experts}, {"n_group", groups.count});
      require_at_most({"topk_group", groups.kept}, {"n_group", groups.count});
      require_at_most({"num_experts_per_tok", top_k},
                      {"the experts of topk_group groups", groups.kept * (experts / groups.count)});
    }
    c.no_effect({"qk_head_dim", "head_dim", "pretraining_tp", "num_nextn_predict_layers", "num_mtp_layers",
                 "output_router_logits", "ep_size", "moe_layer_freq", "scoring_func", "topk_method", "aux_loss_alpha",
                 "seq_aux"});
  }
  int64_t vocab, hidden, layers, heads;
  int64_t query_rank, kv_rank;  // of the latents; 0: queries have none
  int64_t nope, rope, value;    // of each head: what of a key does not turn, what does, and a value
  bool bias, interleaved;
  Rotary rotary;
  int64_t positions;
  int64_t dense_layers, inner, expert_inner, experts, shared_experts, top_k;
  ExpertGroups groups;
  bool normalize;
  double scale;
  std::string activation;
  double epsilon;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

class DeepseekOnnxConfig final : public RotaryDecoder {
 public:
  explicit DeepseekOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.nope + c.rope; }
  int64_t value_head_size() const override { return c.value; }
  bool has_usual_cache() const override { return c.heads * head_size() == c.hidden && c.value == head_size(); }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .max_positions = c.positions, .tied = c.tied, .labels = c.labels, .pad = c.pad};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*layers." + std::to_string(c.layers) + ".*");  // predicts one more token, in training (section 2.2)
    const Angles of_text = angles(s, in);
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Attended given{.mask = in.at("attention_mask"),
                           .cache = &cache,
                           .layer = i,
                           .probabilities = "attentions." + std::to_string(i)};
      const Scope layer = s / "layers" / i, attention = layer / "self_attn", mlp = layer / "mlp";
      x = residual(layer, x, {.norm = rms(), .name = "input_layernorm"}, [&](const Value& h) {
        const Value mixed = mix(attention, expand_latents(attention, h, of_text), attention_block(), given);
        return linear(attention / "o_proj", mixed, {.out = c.hidden, .bias = c.bias});
      });
      x = residual(layer, x, {.norm = rms(), .name = "post_attention_layernorm"}, [&](const Value& h) {
        return i < c.dense_layers ? feed_forward(mlp, h, gated(c.inner)) : mixture_feed_forward(mlp, h, mixture());
      });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, rms()));
  }

  /// Multi-head latent attention (section 2.1.1): tokens are pressed into latents, of which every head's queries, keys
  /// and values are made. Positions turn a part of their own, which for keys is one for all heads.
  QueryKeyValue expand_latents(const Scope& s, const Value& h, const Angles& turns) const {
    const auto turned = [&](const Value& x) { return rotate(c.interleaved ? pairs_as_halves(x) : x, turns); };
    const auto [q_nope, q_rope] = split_at(split_heads(queries(s, h), c.heads), c.nope);

    const auto [latent, shared] =
        split_at(linear(s / "kv_a_proj_with_mqa", h, {.out = c.kv_rank + c.rope, .bias = c.bias}), c.kv_rank);
    const Value kv = linear(s / "kv_b_proj", norm(s / "kv_a_layernorm", latent, latent_rms),
                            {.out = c.heads * (c.nope + c.value), .bias = false});
    const auto [k_nope, v] = split_at(split_heads(kv, c.heads), c.nope);
    const Value k_rope = expand(turned(unsqueeze(shared, {1})), {1, c.heads, 1, 1});

    return {concat({q_nope, turned(q_rope)}, -1), concat({k_nope, k_rope}, -1), v};
  }

  Value queries(const Scope& s, const Value& h) const {
    const int64_t width = c.heads * head_size();
    if (c.query_rank == 0) return linear(s / "q_proj", h, {.out = width, .bias = false});
    const Value latent = linear(s / "q_a_proj", h, {.out = c.query_rank, .bias = c.bias});
    return linear(s / "q_b_proj", norm(s / "q_a_layernorm", latent, latent_rms), {.out = width, .bias = false});
  }

  AttentionBlock attention_block() const {
    const double scale = c.rotary.score_factor() / std::sqrt(static_cast<double>(head_size()));
    return {.heads = c.heads, .head_size = head_size(), .value_size = c.value, .scale = scale, .causal = true};
  }

  /// DeepSeekMoE (section 2.1.2): experts are chosen by their affinity and a bias that balances their load, which has
  /// no part in what they count; and from a few groups only, so that few machines work on a token.
  MixtureFeedForward mixture() const {
    return {.experts = {.count = c.experts, .hidden = c.hidden, .inner = c.expert_inner},
            .options = {.top_k = c.top_k,
                        .normalize = c.normalize,
                        .normalize_epsilon = 1e-20,
                        .scale = c.scale,
                        .activation = c.activation},
            .scores = MixtureFeedForward::Scores::sigmoid,
            .balance = "e_score_correction_bias",
            .groups = c.groups,
            .shared = gated(c.shared_experts * c.expert_inner)};
  }

  FeedForward gated(int64_t inner) const { return {.inner = inner, .activation = c.activation, .gate = "gate_proj"}; }

  Norm rms() const { return {.kind = Norm::Kind::rms, .epsilon = c.epsilon}; }
  static constexpr Norm latent_rms{.kind = Norm::Kind::rms, .epsilon = 1e-6};  // whatever the config says of others

  const DeepseekConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.deepseek_v3",
    .name = "DeepSeek-V3",
    .models = {{.types = {"deepseek_v3"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<DeepseekOnnxConfig>}},
})

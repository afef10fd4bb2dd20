// SPDX-License-Identifier: Apache-2.0
// AFMoE (Trinity). Source: AfmoeModel and its head, transformers 5.24 (modeling_afmoe.py).
#include <algorithm>
#include <cmath>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

struct AfmoeConfig {
  explicit AfmoeConfig(const Config& c)
      : vocab(c.size("vocab_size", 200192)),
        hidden(c.size("hidden_size", 2048)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 16)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", c.is_null("head_dim") ? std::max<int64_t>(1, hidden / heads) : 128)),
        positions(c.size("max_position_embeddings", 16384)),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        bias(c.boolean("attention_bias", false)),
        words_factor(c.boolean("mup_enabled", false) ? std::sqrt(static_cast<double>(hidden)) : 1),
        window(c.count("sliding_window", c.is_null("sliding_window") ? 0 : 1024)),
        types(types_of(c, layers, window)),
        feeds(feeds_of(c, hidden)),
        tied(c.tie(false)),
        rotary(c, head_size) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    no_effect_of_router_training(c);
    // Of the model's own code, which had other choices.
    c.no_effect({"n_group", "topk_group", "num_expert_groups", "num_limited_groups", "score_func", "route_norm",
                 "load_balance_coeff", "use_grouped_mm"});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  Norm rms;
  bool bias;
  double words_factor;             // of the embeddings
  int64_t window;                  // in keys; 0: none
  std::vector<std::string> types;  // of each layer
  FeedForwards feeds;
  Tie tied;
  Rotary rotary;

  bool slides(int64_t layer) const { return types[static_cast<size_t>(layer)] == sliding; }

 private:
  static std::vector<std::string> types_of(const Config& c, int64_t layers, int64_t window) {
    const int64_t every = c.size("global_attn_every_n_layers", 4);
    LayerTypes of{layers, {full}, [every](int64_t i) { return (i + 1) % every != 0 ? sliding : full; }};
    if (window > 0) of.known.push_back(sliding);
    return layer_types(c, of);
  }

  /// Experts by their affinity and a bias that balances their load, beside one that all tokens share.
  /// Source: AfmoeSparseMoeBlock, transformers 5.24.
  static FeedForwards feeds_of(const Config& c, int64_t hidden) {
    const std::string activation = c.text("hidden_act", "silu");
    const int64_t inner = c.size("moe_intermediate_size", 1408), first = c.count("num_dense_layers", 1);
    const MixtureFeedForward form{.experts = {.count = c.size("num_experts", 64), .hidden = hidden, .inner = inner},
                                  .options = {.top_k = c.size("num_experts_per_tok", 6),
                                              .normalize = true,
                                              .normalize_epsilon = 1e-20,
                                              .scale = c.real("route_scale", 1),
                                              .activation = activation},
                                  .scores = MixtureFeedForward::Scores::sigmoid,
                                  .router = "router.gate",
                                  .balance = "expert_bias",
                                  .balance_at = "",
                                  .shared = gated_feed_forward(inner * c.size("num_shared_experts", 2), activation)};
    require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
    return {.mixture = {{"mlp", form}},
            .is_mixture = [first](int64_t i) { return i >= first; },
            .dense = gated_feed_forward(c.size("intermediate_size", 6144), activation)};
  }
};

class AfmoeOnnxConfig final : public RotaryDecoder {
 public:
  explicit AfmoeOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("afmoe", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .max_positions = c.positions, .tied = c.tied, .classes = "", .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    if (c.words_factor != 1) x = x * c.words_factor;
    const Angles of_text = angles(s, in);
    const LayerStack stack{.count = c.layers,
                           .layer = [&](int64_t i) { return layer(s / "layers" / i, i); },
                           .angles = [&](int64_t i) { return c.slides(i) ? of_text : Angles{}; }};
    x = transformer_layers(s / "layers", x, stack, {.mask = in.at("attention_mask"), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  TransformerLayer layer(const Scope& s, int64_t index) const {
    TransformerLayer form{.attention_branch = {.placement = Placement::around,
                                               .norm = c.rms,
                                               .name = "input_layernorm",
                                               .second = "post_attention_layernorm"},
                          .feed_forward_branch = {.placement = Placement::around,
                                                  .norm = c.rms,
                                                  .name = "pre_mlp_layernorm",
                                                  .second = "post_mlp_layernorm"}};
    form.own_attention = [this, index](const Scope& module, const Value& x, const Attended& given) {
      return gated_attention(module, x, index, given);
    };
    c.feeds.put_into(form, s, index);
    return form;
  }

  /// Attention whose result passes a gate of every channel. Source: AfmoeAttention, transformers 5.24.
  Value gated_attention(const Scope& s, const Value& x, int64_t index, const Attended& given) const {
    const AttentionBlock block{.heads = c.heads,
                               .kv_heads = c.kv_heads,
                               .head_size = c.head_size,
                               .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                               .query_key_norm = QueryKeyNorm{.norm = c.rms},
                               .causal = true,
                               .window = c.slides(index) ? c.window : 0};
    const Value gate = sigmoid(linear(s / "gate_proj", x, {.out = c.heads * c.head_size, .bias = false}));
    const Value mixed = mix(s, project(s, x, block), block, given);
    return linear(s / "o_proj", mixed * gate, {.out = c.hidden, .bias = c.bias});
  }

  const AfmoeConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.afmoe",
    .name = "AFMoE (Trinity)",
    .models = {{.types = {"afmoe"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<AfmoeOnnxConfig>}},
})

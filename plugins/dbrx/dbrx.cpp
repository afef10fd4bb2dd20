// SPDX-License-Identifier: Apache-2.0
// DBRX. Source: DbrxModel and its head, transformers 4.57 and 5.24 (modeling_dbrx.py).
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

struct DbrxConfig {
  explicit DbrxConfig(const Config& c) : DbrxConfig(named(c), c.section("attn_config"), c.section("ffn_config")) {}
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  double clip;  // queries, keys and values; 0: as they are
  int64_t inner, experts;
  MixtureOptions mixture;
  Tie tied;
  Rotary rotary;

 private:
  DbrxConfig(const Config& c, const Config& attention, const Config& feeds)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("d_model", 2048)),
        layers(c.count("n_layers", 24)),
        heads(c.size("n_heads", 16)),
        kv_heads(attention.size("kv_n_heads", 1)),
        head_size(std::max<int64_t>(1, hidden / heads)),
        positions(c.size("max_seq_len", 2048)),
        clip(attention.real("clip_qkv", 0)),
        inner(feeds.size("ffn_hidden_size", 3584)),
        experts(feeds.size("moe_num_experts", 4)),
        mixture{.top_k = feeds.size("moe_top_k", 1),
                .normalize = normalizes(feeds),
                .activation = feeds.section("ffn_act_fn").text("name", "silu")},
        tied(c.tie(false)),
        rotary(c, head_size, RotaryFields{.theta = attention.real("rope_theta", 10000)}) {
    require_multiple({"d_model", hidden}, {"n_heads", heads});
    require_multiple({"n_heads", heads}, {"attn_config.kv_n_heads", kv_heads});
    require_at_most({"ffn_config.moe_top_k", mixture.top_k}, {"ffn_config.moe_num_experts", experts});
    require_equal({"ffn_config.hidden_size", feeds.size("hidden_size", hidden)}, {"d_model", hidden});
    c.no_effect({"emb_pdrop", "resid_pdrop", "output_router_logits", "router_aux_loss_coef", "num_key_value_heads"});
    attention.no_effect({"attn_pdrop"});
    feeds.no_effect({"moe_jitter_eps", "moe_loss_weight", "uniform_expert_assignment"});
  }

  static Config named(const Config& c) {
    return c.with_names({{"d_model", "hidden_size"},
                         {"n_layers", "num_hidden_layers"},
                         {"n_heads", "num_attention_heads"},
                         {"max_seq_len", "max_position_embeddings"}});
  }

  /// The chosen's shares are divided by a norm of them, of which 1 is their sum.
  static bool normalizes(const Config& feeds) {
    if (feeds.is_null("moe_normalize_expert_weights")) return false;
    const double power = feeds.real("moe_normalize_expert_weights", 1);
    if (power == 1) return true;
    throw Error(ONNXPORT_UNSUPPORTED, "config field 'ffn_config.moe_normalize_expert_weights' is " +
                                          std::to_string(power) +
                                          "; supported: 1, by which shares are divided by their sum, and null");
  }
};

class DbrxOnnxConfig final : public RotaryDecoder {
 public:
  explicit DbrxOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return is_usual_cache("dbrx", {c.hidden, c.heads, c.kv_heads, c.head_size}); }

 private:
  static constexpr Norm unbiased{.bias = false};

  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "wte",
            .tied = c.tied,
            .classes = "",
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden});
    x = transformer_layers(s / "blocks", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm_f", x, unbiased));
  }

  TransformerLayer layer() const {
    TransformerLayer form{
        .attention_at = "norm_attn_norm.attn",
        .feed_forward_at = "ffn",
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.packing = Projections::Packing::blocks, .fused = "Wqkv", .output = "out_proj"},
                      .clip = c.clip,
                      .causal = true},
        .attention_branch = {.norm = unbiased, .name = "norm_attn_norm.norm_1"},
        .feed_forward_branch = {.norm = unbiased, .name = "norm_attn_norm.norm_2"}};
    form.own_feed_forward = [this](const Scope& ffn, const Value& h) { return mixture(ffn, h); };
    return form;
  }

  /// Experts whose matrices lie one above the other. Source: DbrxExperts, transformers 4.57 and 5.24.
  Value mixture(const Scope& s, const Value& x) const {
    const Scope at = s / "experts.mlp";
    const auto stack = [&](const char* name) {
      return reshape(at.weight(name, {c.experts * c.inner, c.hidden}), {c.experts, c.inner, c.hidden});
    };
    const Experts experts{.gate = stack("w1"), .up = stack("v1"), .down = transpose(stack("w2"), {0, 2, 1})};
    const Value scores = softmax(linear(s / "router.layer", x, {.out = c.experts, .bias = false}));
    return mixture_of_experts(x.in(s), scores, experts, c.mixture);
  }

  const DbrxConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dbrx",
    .name = "DBRX",
    .models = {{.types = {"dbrx"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<DbrxOnnxConfig>}},
})

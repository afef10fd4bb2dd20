// SPDX-License-Identifier: Apache-2.0
// Jamba (arXiv:2403.19887): Mamba with a few layers of attention, and experts in some. Positions are told by nothing.
// Source: JambaModel and its heads, transformers 4.57 and 5.24.
#include <algorithm>

#include <onnxport/blocks/selective_scan.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// Every so many layers one of another kind.
struct Every {
  int64_t period, offset;
  Every(const Config& c, const std::string& what, int64_t otherwise_period, int64_t otherwise_offset)
      : period(c.size(what + "_layer_period", otherwise_period)),
        offset(c.count(what + "_layer_offset", otherwise_offset)) {
    require_at_most({what + "_layer_offset + 1", offset + 1}, {what + "_layer_period", period});
  }
  bool holds(int64_t layer) const { return layer % period == offset; }
};

/// The width of the time step's low rank: a number, or "auto", a sixteenth of the hidden size.
int64_t rank_of(const Config& c, const char* field, int64_t hidden) {
  const int64_t derived = (hidden + 15) / 16;
  if (!c.is_text(field)) return c.size(field, derived);
  (void)c.choice(field, "auto", {"auto"});
  return derived;
}

struct JambaConfig {
  explicit JambaConfig(const Config& given)
      : JambaConfig(given.with_names({{"num_experts", "num_local_experts"}}), 0) {}
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  Norm norm;
  SelectiveMixer mixer;
  FeedForwards feeds;
  Every attending;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;

 private:
  JambaConfig(const Config& c, int)
      : vocab(c.size("vocab_size", 65536)),
        hidden(c.size("hidden_size", 4096)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 8)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 262144)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        mixer{.channels = c.size("mamba_expand", 2) * hidden,
              .state = c.size("mamba_d_state", 16),
              .rank = rank_of(c, "mamba_dt_rank", hidden),
              .kernel = c.size("mamba_d_conv", 4),
              .convolution_bias = c.boolean("mamba_conv_bias", true),
              .bias = c.boolean("mamba_proj_bias", false),
              .activation = c.text("hidden_act", "silu"),
              .gate = c.written_before(5, 0) ? c.text("hidden_act", "silu") : "silu",
              .norm = norm},
        feeds(feed_forwards(c, hidden)),
        attending(c, "attn", 8, 4),
        tied(c.tie(false)),
        labels(c.num_labels()),
        pad(c.is_null("pad_token_id") ? std::nullopt : std::optional<int64_t>(c.integer("pad_token_id", 0))) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    no_effect_of_router_training(c);
    c.no_effect({"use_mamba_kernels", "use_mambapy", "use_associative_scan", "num_logits_to_keep", "sliding_window"});
  }

  /// Experts that count what a softmax over all of them gives. Source: JambaSparseMoeBlock, transformers 5.24.
  static FeedForwards feed_forwards(const Config& c, int64_t hidden) {
    const int64_t inner = c.size("intermediate_size", 14336), experts = c.size("num_experts", 16);
    const std::string activation = c.text("hidden_act", "silu");
    const Every mixtures(c, "expert", 2, 1);
    MixtureFeedForward form{.experts = {.count = experts, .hidden = hidden, .inner = inner},
                            .options = {.top_k = c.size("num_experts_per_tok", 2), .activation = activation},
                            .router = "router"};
    // One alone is no choice: an ordinary feed-forward.
    if (experts > 1) require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", experts});
    return {.mixture = {{"feed_forward", form}},
            .is_mixture = [mixtures, experts](int64_t i) { return experts > 1 && mixtures.holds(i); },
            .dense = gated_feed_forward(inner, activation)};
  }
};

class JambaOnnxConfig final : public TextDecoder {
 public:
  explicit JambaOnnxConfig(const Request& request) : TextDecoder(request, Positions::sequence), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  std::vector<State> states_of(int64_t layer) const override {
    return c.attending.holds(layer) ? keys_and_values(layer) : c.mixer.states(layer);
  }

 private:
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Value counts = unsqueeze(fresh_mask(in), {2});
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t i) { return layer(s / "layers" / i, i, counts); }};
    const Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    const Value y = transformer_layers(s / "layers", x, stack, {.mask = in.at("attention_mask"), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layernorm", y, c.norm));
  }

  /// `counts`: i64[batch, n, 1], 1 for the tokens of the step that count.
  TransformerLayer layer(const Scope& scope, int64_t index, const Value& counts) const {
    TransformerLayer form{
        .attention = {.heads = c.heads, .kv_heads = c.kv_heads, .head_size = c.head_size, .causal = true},
        .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
        .feed_forward_branch = {.norm = c.norm, .name = "pre_ff_layernorm"}};
    c.feeds.put_into(form, scope, index);
    form.feed_forward_at = "feed_forward";
    if (c.attending.holds(index)) return form;
    form.attention_at = "mamba";
    form.own_attention = [this, counts](const Scope& module, const Value& x, const Attended& given) {
      return selective_mixer(module, x, c.mixer, counts, *given.cache, given.layer);
    };
    return form;
  }

  const JambaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.jamba",
    .name = "Jamba",
    .models = {{.types = {"jamba"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<JambaOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// Command R, Command R7B (Cohere 2) and its mixture of experts. Source: CohereModel, Cohere2Model and their heads,
// transformers 4.57 and 5.24; Cohere2MoeModel, 5.24.
#include <optional>

#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

/// What a generation does.
struct Family {
  const char* type;
  bool windows = false;         // most layers have a window, and only they turn queries and keys
  bool query_key_norm = false;  // by use_qk_norm
  bool experts = false;         // in the layers that are not dense
  double theta_since_5 = 10000;
};
constexpr Family families[] = {
    {.type = "cohere", .query_key_norm = true, .theta_since_5 = 500'000},
    {.type = "cohere2", .windows = true},
    {.type = "cohere2_moe", .windows = true, .experts = true},
};

/// The feed-forwards of a mixture. Source: Cohere2MoeSparseMoeBlock, transformers 5.24.
struct CohereExperts {
  CohereExperts(const Config& c, int64_t hidden, int64_t inner, const std::string& activation)
      : form{.experts = {.count = c.size("num_experts", 8), .hidden = hidden, .inner = inner},
             .options = {.top_k = c.size("num_experts_per_tok", 2), .normalize = true, .activation = activation}},
        dense(gated_feed_forward(c.size("prefix_dense_intermediate_size", inner), activation)),
        dense_turns(c.size("prefix_dense_sliding_window_pattern", 1) == 1),
        types(layer_types(c, {.layers = c.count("num_hidden_layers", 40),
                              .known = {"dense", "sparse"},
                              .otherwise = [first = c.count("first_k_dense_replace", 0)](
                                               int64_t i) { return i < first ? "dense" : "sparse"; },
                              .field = "mlp_layer_types"})) {
    const bool normalizes = c.boolean("norm_topk_prob", true);
    if (c.choice("expert_selection_fn", "softmax", {"softmax", "sigmoid"}) == "sigmoid") {
      form.scores = MixtureFeedForward::Scores::sigmoid;
      form.options.normalize = normalizes;
    }
    require_at_most({"num_experts_per_tok", form.options.top_k}, {"num_experts", form.experts.count});
    const int64_t shared = c.count("num_shared_experts", 0);
    const std::string joined = c.choice("shared_expert_combination_strategy", "average", {"average", "sum"});
    if (shared > 0) form.shared = gated_feed_forward(inner * shared, activation);
    halved = shared > 0 && joined == "average";
    no_effect_of_router_training(c);
  }
  MixtureFeedForward form;
  FeedForward dense;
  bool dense_turns;                // layers without experts turn queries and keys, with a window or without
  std::vector<std::string> types;  // of each layer's feed-forward
  bool halved = false;             // what experts and the shared one yield together

  bool is_dense(int64_t layer) const { return types[static_cast<size_t>(layer)] == "dense"; }
};

struct CohereConfig {
  CohereConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", 256000)),
        hidden(c.size("hidden_size", 8192)),
        inner(c.size("intermediate_size", 22528)),
        layers(c.count("num_hidden_layers", 40)),
        heads(c.size("num_attention_heads", 64)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 8192)),
        activation(c.text("hidden_act", "silu")),
        norm(norm_of(c, family)),
        bias(c.boolean("attention_bias", false)),
        query_key_norm(family.query_key_norm && c.boolean("use_qk_norm", false)),
        causal(c.boolean("is_causal", true)),
        words_scale(c.real("logit_scale", 0.0625)),
        tied(c.tie(true)),
        window(window_of(c, family, causal)),
        types(types_of(c, family, layers, window)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", c.written_before(5, 0) ? 10000 : family.theta_since_5),
                            .partial = c.real("partial_rotary_factor", 1)}) {
    if (family.experts) experts.emplace(c, hidden, inner, activation);
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"cache_implementation", "_sliding_window_pattern", "sliding_window_pattern"});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm norm;
  bool bias, query_key_norm, causal;
  double words_scale;
  Tie tied;
  int64_t window;                  // as of AttentionOptions; 0: none
  std::vector<std::string> types;  // of each layer; empty: all see the whole text, and turn
  Rotary rotary;
  std::optional<CohereExperts> experts{};  // none: all layers are dense

  bool slides(int64_t layer) const { return !types.empty() && types[static_cast<size_t>(layer)] == sliding; }
  bool turns(int64_t layer) const {
    return types.empty() || slides(layer) || (experts && experts->dense_turns && experts->is_dense(layer));
  }

 private:
  static Norm norm_of(const Config& c, const Family& family) {
    const Norm usual{.epsilon = c.real("layer_norm_eps", 1e-5), .bias = false};
    if (!family.experts || c.is_null("rms_norm_eps") || !c.has("rms_norm_eps")) return usual;
    return {.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)};
  }

  // What a model that looks both ways states is how far it sees.
  static int64_t window_of(const Config& c, const Family& family, bool causal) {
    if (!family.windows) return 0;
    const int64_t window = c.count("sliding_window", c.is_null("sliding_window") ? 0 : 4096);
    return causal || window == 0 ? window : window + 1;
  }

  static std::vector<std::string> types_of(const Config& c, const Family& family, int64_t layers, int64_t window) {
    if (!family.windows) return {};
    const int64_t every = c.has("layer_types") ? 4 : c.size("sliding_window_pattern", 4);
    LayerTypes kinds{layers, {full}, [=](int64_t i) { return window > 0 && (i + 1) % every != 0 ? sliding : full; }};
    if (window > 0) kinds.known.push_back(sliding);
    return layer_types(c, kinds);
  }
};

class CohereOnnxConfig final : public RotaryDecoder {
 public:
  explicit CohereOnnxConfig(const Request& request)
      : RotaryDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache(family.type, {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_scale = c.words_scale,
            .classes = "",
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    const Angles of_text = angles(s, in);
    const LayerStack stack{.count = c.layers,
                           .layer = [this](int64_t i) { return layer(i); },
                           .angles = [&](int64_t i) { return c.turns(i) ? of_text : Angles{}; }};
    x = transformer_layers(s / "layers", x, stack, {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.norm));
  }

  TransformerLayer layer(int64_t index) const {
    TransformerLayer form{.attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                                        .causal = c.causal,
                                        .window = c.slides(index) ? c.window : 0,
                                        .interleaved = true},
                          .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj"},
                          .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = c.norm, .name = "input_layernorm"},
                          .parallel = true};
    if (c.query_key_norm) form.attention.query_key_norm = {.norm = c.norm, .stacked = true};
    if (!c.experts) return form;
    if (c.experts->is_dense(index)) {
      form.feed_forward = c.experts->dense;
    } else if (c.experts->halved) {
      form.own_feed_forward = [this](const Scope& mlp, const Value& h) {
        return mixture_feed_forward(mlp, h, c.experts->form) * 0.5;
      };
    } else {
      form.mixture = c.experts->form;
    }
    return form;
  }

  const Family& family;
  const CohereConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.cohere",
    .name = "Command R",
    .models = {{.types = {"cohere", "cohere2", "cohere2_moe"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<CohereOnnxConfig>}},
})

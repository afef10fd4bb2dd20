// SPDX-License-Identifier: Apache-2.0
// Granite 4: Mamba 2 and attention, each before experts and a feed-forward that all tokens share.
// Source: GraniteMoeHybridModel and its head, transformers 4.57 and 5.24.
#include <algorithm>
#include <optional>

#include <onnxport/families/mixtures.hpp>
#include <onnxport/families/state_space_hybrids.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

struct GraniteConfig {
  explicit GraniteConfig(const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 4096)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 2048)),
        bias(c.boolean("attention_bias", false)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        embedding_factor(c.real("embedding_multiplier", 1)),
        branch_factor(c.real("residual_multiplier", 1)),
        score_factor(c.real("attention_multiplier", 1)),
        words_divisor(c.real("logits_scaling", 1)),
        mixer(bamba_mixer(c, c.size("mamba_expand", 2) * hidden)),
        shared(granite_shared(c.size("shared_intermediate_size", 1024), c.text("hidden_act", "silu"))),
        types(in_newer_words(layer_types(c.with_names({{"layer_types", "layers_block_type"}}),
                                         {layers,
                                          {"linear_attention", "full_attention", "mamba", "attention"},
                                          [](int64_t) { return "linear_attention"; }}))),
        tied(c.tie(false)) {
    mixer.epsilon = norm.epsilon;
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    if (c.text("position_embedding_type", "") == "rope") rotary.emplace(c, head_size);
    if (c.count("num_local_experts", 8) > 0) experts = beside_shared(granite_experts(c, hidden), shared.inner);
    no_effect_of_router_training(c);
    // What experts and angles would be, of a model that has none.
    c.no_effect({"intermediate_size", "num_experts_per_tok", "rope_theta", "rope_scaling", "rope_parameters"});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  bool bias;
  Norm norm;
  double embedding_factor, branch_factor, score_factor, words_divisor;
  StateSpaceMixer mixer;
  FeedForward shared;
  std::optional<FeedForwards> experts;
  std::vector<std::string> types;  // of each layer
  std::optional<Rotary> rotary;
  Tie tied;

  bool attends(int64_t layer) const { return types[static_cast<size_t>(layer)] == "full_attention"; }
};

class GraniteOnnxConfig final : public TextDecoder {
 public:
  explicit GraniteOnnxConfig(const Request& request) : TextDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  Positions positions_in_generation() const override {
    return c.rotary && c.rotary->depends_on_length() ? Positions::mask : Positions::sequence;
  }
  std::vector<std::string> keep_in_fp32() const override { return {StateSpaceMixer::recurrence}; }
  std::vector<State> states_of(int64_t layer) const override {
    return c.attends(layer) ? keys_and_values(layer) : c.mixer.states(layer);
  }

 private:
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_scale = 1 / c.words_divisor,
            .classes = {},
            .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Chunks chunks = chunks_of(s, fresh_mask(in));
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    if (c.embedding_factor != 1) x = x * c.embedding_factor;
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t i) { return layer(s / "layers" / i, i, chunks); }};
    const Attended given{.mask = in.at("attention_mask"),
                         .angles = c.rotary ? c.rotary->angles(position_ids(in).in(s / "rotary_emb")) : Angles{},
                         .cache = &cache};
    x = transformer_layers(s / "layers", x, stack, given);
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.norm));
  }

  TransformerLayer layer(const Scope& scope, int64_t index, const Chunks& chunks) const {
    TransformerLayer form{
        .feed_forward_at = "shared_mlp",
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                      .scale = c.score_factor,
                      .causal = true},
        .feed_forward = c.shared,
        .attention_branch = {.norm = c.norm, .name = "input_layernorm", .scale = c.branch_factor},
        .feed_forward_branch = {.norm = c.norm, .name = "post_attention_layernorm", .scale = c.branch_factor}};
    if (c.experts) c.experts->put_into(form, scope, index);
    if (c.attends(index)) return form;
    form.attention_at = "mamba";
    form.own_attention = [this, chunks](const Scope& module, const Value& x, const Attended& given) {
      return state_space_mixer(module, x, c.mixer, chunks, *given.cache, given.layer);
    };
    return form;
  }

  const GraniteConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.granitemoehybrid",
    .name = "Granite 4",
    .models = {{.types = {"granitemoehybrid"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<GraniteOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// Falcon-H1 (arXiv:2507.22448): Mamba 2 and attention side by side in every layer, with factors of nearly everything.
// Source: FalconH1Model and its head, transformers 4.57 and 5.24.
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/state_space_hybrids.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

/// A list of so many factors, which are 1 where it is null. Throws CONFIG where it is of another length.
std::vector<double> factors(const Config& c, const char* field, size_t count) {
  std::vector<double> all = c.reals(field);
  if (!c.has(field)) all.assign(count, 1);
  require_equal({field, static_cast<int64_t>(all.size())}, {"so many factors", static_cast<int64_t>(count)});
  return all;
}

struct FalconH1Config {
  explicit FalconH1Config(const Config& c)
      : vocab(c.size("vocab_size", 128000)),
        hidden(c.size("hidden_size", 4096)),
        inner(c.size("intermediate_size", 14336)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 8)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 8192)),
        attention_bias(c.boolean("attention_bias", false)),
        mlp_bias(c.boolean("mlp_bias", false)),
        activation(c.text("hidden_act", "silu")),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        of_embedding(c.real("embedding_multiplier", 1)),
        of_words(c.real("lm_head_multiplier", 1)),
        of_keys(c.real("key_multiplier", 1)),
        into_attention(c.real("attention_in_multiplier", 1)),
        out_of_attention(c.real("attention_out_multiplier", 1)),
        into_mixer(c.real("ssm_in_multiplier", 1)),
        out_of_mixer(c.real("ssm_out_multiplier", 1)),
        of_feed_forward(factors(c, "mlp_multipliers", 2)),
        mixer(bamba_mixer(c, width_of(c, hidden))),
        rotary(c, head_size, RotaryFields{.theta = c.real("rope_theta", c.written_since(5, 0) ? 10000 : 100000)}),
        tied(c.tie(false)) {
    using Gate = StateSpaceMixer::Gate;
    const bool has_norm = c.boolean("mamba_rms_norm", false), norms_first = c.boolean("mamba_norm_before_gate", true);
    mixer.gate = !has_norm ? Gate::alone : norms_first ? Gate::behind_norm : Gate::before_norm;
    mixer.output_bias = c.boolean("projectors_bias", false);
    mixer.factors = factors(c, "ssm_multipliers", 5);
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"layers_block_type", "num_logits_to_keep"});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  bool attention_bias, mlp_bias;
  std::string activation;
  Norm norm;
  double of_embedding, of_words, of_keys, into_attention, out_of_attention, into_mixer, out_of_mixer;
  std::vector<double> of_feed_forward;  // of the gates, and of what comes out
  StateSpaceMixer mixer;
  Rotary rotary;
  Tie tied;

 private:
  static int64_t width_of(const Config& c, int64_t hidden) {
    const int64_t otherwise = c.size("mamba_expand", 2) * hidden;
    return c.size("mamba_d_ssm", c.is_null("mamba_d_ssm") ? otherwise : 1024);
  }
};

class FalconH1OnnxConfig final : public RotaryDecoder {
 public:
  explicit FalconH1OnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  std::vector<std::string> keep_in_fp32() const override { return {StateSpaceMixer::recurrence}; }
  std::vector<State> states_of(int64_t layer) const override {
    std::vector<State> all = keys_and_values(layer);
    for (State& state : c.mixer.states(layer)) all.push_back(std::move(state));
    return all;
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_scale = c.of_words,
            .classes = {},
            .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    const Chunks chunks = chunks_of(s, fresh_mask(in));
    Attended given{.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache};
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden}) * c.of_embedding;
    for (given.layer = 0; given.layer < c.layers; ++given.layer) {
      const std::string index = std::to_string(given.layer);
      const Scope layer = s / "layers" / index;
      given.probabilities = "attentions." + index;
      g.mark("hidden_states." + index, x);
      x = residual(layer, x, {.norm = c.norm, .name = "input_layernorm"}, [&](const Value& h) {
        const Value swept = state_space_mixer(layer / "mamba", h * c.into_mixer, c.mixer, chunks, cache, given.layer);
        const Value attended = attention(layer / "self_attn", h * c.into_attention, given);
        return swept * c.out_of_mixer + attended * c.out_of_attention;
      });
      x = residual(layer, x, {.norm = c.norm, .name = "pre_ff_layernorm"},
                   [&](const Value& h) { return feed_forward(layer / "feed_forward", h); });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layernorm", x, c.norm));
  }

  /// Keys are cached with their factor.
  Value attention(const Scope& s, const Value& x, const Attended& given) const {
    const bool bias = c.attention_bias;
    const AttentionBlock block{.heads = c.heads,
                               .kv_heads = c.kv_heads,
                               .head_size = c.head_size,
                               .projections = {.bias = {bias, bias, bias, bias}},
                               .causal = true};
    QueryKeyValue made = project(s, x, block);
    made.key = made.key * c.of_keys;
    return linear(s / "o_proj", mix(s, made, block, given), {.out = c.hidden, .bias = bias});
  }

  Value feed_forward(const Scope& s, const Value& x) const {
    const LinearOptions wide{.out = c.inner, .bias = c.mlp_bias};
    const Value gate = activation(linear(s / "gate_proj", x, wide) * c.of_feed_forward[0], c.activation);
    const Value h = linear(s / "up_proj", x, wide) * gate;
    return linear(s / "down_proj", h, {.out = c.hidden, .bias = c.mlp_bias}) * c.of_feed_forward[1];
  }

  const FalconH1Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.falcon_h1",
    .name = "Falcon-H1",
    .models = {{.types = {"falcon_h1"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<FalconH1OnnxConfig>}},
})

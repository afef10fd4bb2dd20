// SPDX-License-Identifier: Apache-2.0
// MiniMax-Text-01 (arXiv:2501.08313): layers of lightning and of softmax attention, each before a mixture of experts.
// Source: MiniMaxModel and its heads, transformers 4.57 and 5.24.
#include <algorithm>

#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

#include "lightning.hpp"

using namespace minimax;

namespace {

const std::string full = "full_attention", linear_attention = "linear_attention";

/// Factors of what a branch reads and of what it adds to that.
struct Factors {
  Factors(const Config& c, const std::string& branch)
      : kept(c.real(branch + "_alpha_factor", 1)), added(c.real(branch + "_beta_factor", 1)) {}
  double kept, added;
};

struct MiniMaxConfig {
  explicit MiniMaxConfig(const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 4096)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 8)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 131072)),
        window(c.count("sliding_window", 0)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        activation(c.text("hidden_act", "silu")),
        types(layer_types(
            c, {layers, {full, linear_attention}, [](int64_t i) { return i % 2 == 0 ? full : linear_attention; }})),
        of_full(c, "full_attn"),
        of_linear(c, "linear_attn"),
        of_experts(c, "mlp"),
        feed_forwards(mixtral_feed_forwards(c, hidden)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", 1e6), .partial = c.real("partial_rotary_factor", 1)}),
        older(c.written_before(5, 0)),
        tied(c.tie(false)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    no_effect_of_router_training(c);
    c.no_effect({"block_size"});  // how a prompt is cut for the computation
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions, window;
  Norm norm;
  std::string activation;
  std::vector<std::string> types;  // of each layer
  Factors of_full, of_linear, of_experts;
  FeedForwards feed_forwards;
  Rotary rotary;
  bool older;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;

  bool is_full(int64_t layer) const { return types[static_cast<size_t>(layer)] == full; }
};

class MiniMaxOnnxConfig final : public RotaryDecoder {
 public:
  explicit MiniMaxOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {
    if (use_past() && std::find(c.types.begin(), c.types.end(), full) == c.types.end()) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'layer_types' has no \"full_attention\", whose cache tells how many tokens lie behind; "
                  "export the feature '" +
                      task() + "' without a past");
    }
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return false; }

  /// Keys and values of the layers with softmax, and what the others remember, each under its layer's number.
  std::vector<State> states() const override {
    const std::vector<State> of_all = OnnxConfigWithPast::states();  // two a layer
    std::vector<State> own;
    for (int64_t i = 0; i < c.layers; ++i) {
      if (c.is_full(i)) {
        own.insert(own.end(), of_all.begin() + 2 * i, of_all.begin() + 2 * i + 2);
        continue;
      }
      State& memory = own.emplace_back(cached(memory_of(i), {axis::batch, c.heads, c.head_size, c.head_size}));
      memory.past = "past_recurrent." + std::to_string(i);
      memory.present = "present_recurrent." + std::to_string(i);
    }
    return own;
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    for (const char* saved : {"slope_rate", "query_decay", "key_decay", "diagonal_decay"})
      g.unused(std::string("*.") + saved);  // the layer's number tells them
    const Value mask = in.at("attention_mask"), past = cache.past_length();
    const Value fresh = past ? from_row(mask, 1, past) : mask;
    const Angles turns = angles(s, in);
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string index = std::to_string(i);
      g.mark("hidden_states." + index, x);
      const Scope layer = s / "layers" / i, attention = layer / "self_attn";
      x = residual(layer, x, branch("input_layernorm", c.is_full(i) ? c.of_full : c.of_linear), [&](const Value& h) {
        if (!c.is_full(i)) return lightning_attention(attention, h, lightning(i), fresh, cache, memory_of(i));
        return attend(
            attention, h, attention_block(),
            {.mask = mask, .angles = turns, .cache = &cache, .layer = i, .probabilities = "attentions." + index});
      });
      const MixtureAt& experts = saved_form(layer, c.feed_forwards.mixture);
      x = residual(layer, x, branch("post_attention_layernorm", c.of_experts),
                   [&](const Value& h) { return mixture_feed_forward(layer / experts.module, h, experts.form); });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.norm));
  }

  AttentionBlock attention_block() const {
    return {.heads = c.heads, .kv_heads = c.kv_heads, .head_size = c.head_size, .causal = true, .window = c.window};
  }
  Lightning lightning(int64_t layer) const {
    return {.heads = c.heads,
            .head_size = c.head_size,
            .activation = c.activation,
            .slopes = slopes_of(c.heads, layer, c.layers),
            .asks_in_padding = c.older};
  }
  Residual branch(const char* name, const Factors& factors) const {
    return {
        .placement = Placement::on_norm, .norm = c.norm, .name = name, .scale = factors.added, .kept = factors.kept};
  }
  static std::string memory_of(int64_t layer) { return std::to_string(layer) + ".memory"; }

  const MiniMaxConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.minimax",
    .name = "MiniMax",
    .models = {{.types = {"minimax"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<MiniMaxOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// RecurrentGemma (arXiv:2404.07839): layers of gated linear recurrences and of local attention.
// Source: RecurrentGemmaModel and its head, transformers 4.57 and 5.24.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <onnxport/blocks/causal_convolution.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct RecurrentGemmaConfig {
  explicit RecurrentGemmaConfig(const Config& given)
      : RecurrentGemmaConfig(given.with_names({{"attention_window_size", "sliding_window"}}), 0) {}
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, width, kernel, window;
  bool bias;  // of queries, keys and values
  Norm norm;
  std::string activation;
  FeedForward feed_forward;
  std::vector<std::string> kinds;  // of layers, in turn
  Rotary rotary;
  double softcap;  // of the words' scores
  Tie tied;

  bool attends(int64_t layer) const { return kinds[static_cast<size_t>(layer) % kinds.size()] == "attention"; }
  /// √hidden as the original keeps it, in bfloat16.
  double embedding_factor() const {
    const uint32_t bits = static_cast<uint32_t>(detail::bf16_bits(std::sqrt(static_cast<float>(hidden)))) << 16;
    float factor = 0;
    std::memcpy(&factor, &bits, sizeof factor);
    return static_cast<double>(factor);
  }

 private:
  RecurrentGemmaConfig(const Config& c, int)
      : vocab(c.size("vocab_size", 256000)),
        hidden(c.size("hidden_size", 2560)),
        layers(c.count("num_hidden_layers", 26)),
        heads(c.size("num_attention_heads", 10)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(std::max<int64_t>(1, hidden / heads)),
        width(c.size("lru_width", hidden)),
        kernel(c.size("conv1d_width", 4)),
        window(c.size("attention_window_size", 2048)),
        bias(c.boolean("attention_bias", false)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6), .offset = 1},
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        feed_forward(gated_feed_forward(c.size("intermediate_size", 7680) / 2, activation, true)),
        kinds(kinds_of(c)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", 10000), .partial = c.real("partial_rotary_factor", 0.5)}),
        softcap(c.real("logits_soft_cap", 30)),
        tied(c.tie(true)) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_multiple({"lru_width", width}, {"num_attention_heads", heads});
    // What the class makes of other fields, and what weights begin with.
    c.no_effect(
        {"head_dim", "layers_block_type", "layer_types", "w_init_variance_scale", "final_w_init_variance_scale"});
  }
  static std::vector<std::string> kinds_of(const Config& c) {
    if (!c.has("block_types")) return {"recurrent", "recurrent", "attention"};
    return layer_types(
        c, {static_cast<int64_t>(c.texts("block_types").size()), {"recurrent", "attention"}, {}, "block_types"});
  }
};

class RecurrentGemmaOnnxConfig final : public RotaryDecoder {
 public:
  explicit RecurrentGemmaOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  /// A recurrence begins where a text does, which its positions tell.
  Positions positions_in_generation() const override { return Positions::mask; }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .tied = c.tied, .words_softcap = c.softcap, .classes = {}, .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Value begins = unsqueeze(equal(position_ids(in), 0), {2}).in(s);
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t i) { return layer(i, begins); }};
    const Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden}) * c.embedding_factor();
    const Value y = transformer_layers(s / "layers", x, stack,
                                       {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "final_norm", y, c.norm));
  }

  /// `begins`: bool[batch or 1, n, 1], whether a token is the first of its text.
  TransformerLayer layer(int64_t index, const Value& begins) const {
    TransformerLayer form{.attention_at = "temporal_block",
                          .feed_forward_at = "mlp_block",
                          .attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.bias = {c.bias, c.bias, c.bias, true}},
                                        .causal = true,
                                        .window = c.window},
                          .feed_forward = c.feed_forward,
                          .attention_branch = {.norm = c.norm, .name = "temporal_pre_norm"},
                          .feed_forward_branch = {.norm = c.norm, .name = "channel_pre_norm"}};
    if (c.attends(index)) return form;
    form.own_attention = [this, begins](const Scope& s, const Value& x, const Attended& given) {
      return recurrent_block(s, x, begins, given);
    };
    return form;
  }

  /// x: f[batch, n, hidden] -> the same. Source: RecurrentGemmaRecurrentBlock, transformers 5.24.
  Value recurrent_block(const Scope& s, const Value& x, const Value& begins, const Attended& given) const {
    const Value gate = activation(linear(s / "linear_y", x, {.out = c.width}), c.activation);
    const Value seen = causal_convolution(s / "conv_1d", linear(s / "linear_x", x, {.out = c.width}),
                                          {.channels = c.width, .kernel = c.kernel}, *given.cache, given.layer);
    return linear(s / "linear_out", recurrence(s / "rg_lru", seen, begins) * gate, {.out = c.hidden});
  }

  /// h <- a·h + √(1 - a²)·gated x, where a channel's a follows from the token: f[batch, n, width] -> the same.
  /// Source: RecurrentGemmaRglru, transformers 5.24.
  Value recurrence(const Scope& s, const Value& x, const Value& begins) const {
    const auto gate = [&](const std::string& name) {
      const int64_t block = c.width / c.heads;
      const Value made = matmul(split_heads(x.in(s), c.heads), s.weight(name + "_weight", {c.heads, block, block}));
      return sigmoid(merge_heads(made + unsqueeze(s.weight(name + "_bias", {c.heads, block}), {1})));
    };
    const Value strength = s.op("Softplus", {s.weight("recurrent_param", {c.width})});
    const Value decay = gate("recurrent_gate") * strength * -8.0;
    const Value one = s.graph().scalar(1), zero = s.graph().scalar(0);
    const Value kept = where(begins, zero, exp(decay)), added = where(begins, one, sqrt(1.0 - exp(decay * 2.0)));
    const auto walked = [](const Value& steps) { return transpose(steps, {1, 0, 2}); };
    const ScanOver over{.states = {zeros_of_batch(x, {c.width})},
                        .walked = {walked(kept), walked(x * gate("input_gate") * added)},
                        .rows = 1};
    const ScanResult result = s.graph().scan(s, over, [](Graph&, const std::vector<Value>& in) -> ScanStep {
      const Value state = in[0] * in[1] + in[2];
      return {{state}, {state}};
    });
    return transpose(result.rows[0], {1, 0, 2}).in(s.parent());
  }

  const RecurrentGemmaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.recurrent_gemma",
    .name = "RecurrentGemma",
    .models = {{.types = {"recurrent_gemma"},
                .features = {"default", "causal-lm"},
                .make = make<RecurrentGemmaOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// RWKV (arXiv:2305.13048): layers in which every channel remembers a mean of what came before, weighted by how long ago
// that was. Texts are not padded: there is no mask. Source: RwkvModel and its head, transformers 4.57 and 5.24.
#include <cmath>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/resampling.hpp>

using namespace onnxport::sdk;

namespace {

struct RwkvConfig {
  explicit RwkvConfig(const Config& c)
      : vocab(c.size("vocab_size", 50277)),
        hidden(c.size("hidden_size", 4096)),
        layers(c.count("num_hidden_layers", 32)),
        width(c.size("attention_hidden_size", hidden)),
        inner(c.size("intermediate_size", 4 * hidden)),
        norm{.epsilon = c.real("layer_norm_epsilon", 1e-5)},
        rescale_every(c.integer("rescale_every", 6)),
        tied(c.tie(false)) {
    c.no_effect({"context_length", "max_position_embeddings"});  // of a kernel
  }
  int64_t vocab, hidden, layers, width, inner;
  Norm norm;
  int64_t rescale_every;  // so many layers what the trunk holds is halved; 0: never
  Tie tied;

  /// How often the trunk was halved before a layer's output joins it.
  int64_t halvings(int64_t layer) const { return rescale_every > 0 ? layer / rescale_every : 0; }
};

class RwkvOnnxConfig final : public TextDecoder {
 public:
  explicit RwkvOnnxConfig(const Request& request) : TextDecoder(request, Positions::sequence), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return 1; }
  int64_t head_size() const override { return c.width; }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, c.vocab)};
  }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "rwkv",
            .vocab = c.vocab,
            .embedding = "embeddings",
            .tied = c.tied,
            .words = "head",
            .classes = {},
            .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache&) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embeddings", in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope block = s / "blocks" / i;
      if (i == 0) x = norm(block / "pre_ln", x, c.norm);
      g.mark("hidden_states." + std::to_string(i), x);
      const double scale = std::ldexp(1.0, -static_cast<int>(c.halvings(i)));
      x = residual(block, x, {.norm = c.norm, .name = "ln1", .scale = scale},
                   [&](const Value& h) { return time_mix(block / "attention", h); });
      x = residual(block, x, {.norm = c.norm, .name = "ln2", .scale = scale},
                   [&](const Value& h) { return channel_mix(block / "feed_forward", h); });
      if (c.halvings(i + 1) > c.halvings(i)) x = x * 0.5;
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "ln_out", x, Norm{}));
  }

  /// A layer of x and the token before it, in a share of each channel: "key" by time_mix_key. f[batch, n, out].
  Value mixed_linear(const Scope& s, const Value& x, const std::string& name, int64_t out) const {
    const Value before = slice(pad(x, {Pad{1, 1, 0}}), {1, 0, -1});
    const Value share = s.weight("time_mix_" + name, {1, 1, c.hidden});
    return linear(s / name, x * share + before * (1.0 - share), {.out = out, .bias = false});
  }

  /// Source: RwkvSelfAttention, transformers 5.24.
  Value time_mix(const Scope& s, const Value& x) const {
    const Value key = mixed_linear(s, x, "key", c.width), value = mixed_linear(s, x, "value", c.width);
    const Value receptance = sigmoid(mixed_linear(s, x, "receptance", c.width));
    return linear(s / "output", receptance * weighted_mean(s, key, value), {.out = c.hidden, .bias = false});
  }

  /// Source: RwkvFeedForward, transformers 5.24.
  Value channel_mix(const Scope& s, const Value& x) const {
    const Value key = relu(mixed_linear(s, x, "key", c.inner));
    const Value receptance = sigmoid(mixed_linear(s, x, "receptance", c.hidden));
    return receptance * linear(s / "value", key * key, {.out = c.hidden, .bias = false});
  }

  /// The mean of a channel's values so far, each with the weight exp(key - how long ago·decay) and the present one with
  /// exp(key + first). Numerator and denominator are kept divided by the largest weight, so that nothing overflows.
  /// Source: rwkv_linear_attention_cpu, transformers 5.24.
  Value weighted_mean(const Scope& s, const Value& key, const Value& value) const {
    const auto walked = [](const Value& x) { return transpose(x, {1, 0, 2}); };
    const Value none = zeros_of_batch(key, {c.width});
    const ScanOver over{.states = {none, none, none - 1e38},
                        .walked = {walked(key), walked(value)},
                        .captures = {-exp(s.weight("time_decay", {c.width})), s.weight("time_first", {c.width})},
                        .rows = 1};
    const ScanResult result = s.graph().scan(s, over, [](Graph& g, const std::vector<Value>& in) -> ScanStep {
      const Value &top = in[0], &bottom = in[1], &largest = in[2], &k = in[3], &v = in[4], &decay = in[5],
                  &first = in[6];
      struct Sums {
        Value top, bottom, largest;
      };
      const auto joined = [&](const Value& old, const Value& fresh) -> Sums {
        const Value most = g.op("Max", {old, fresh});
        const Value left = exp(old - most), weight = exp(fresh - most);
        return {left * top + weight * v, left * bottom + weight, most};
      };
      const Sums seen = joined(largest, k + first), kept = joined(largest + decay, k);
      return {{kept.top, kept.bottom, kept.largest}, {seen.top / seen.bottom}};
    });
    return transpose(result.rows[0], {1, 0, 2});
  }

  const RwkvConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.rwkv",
    .name = "RWKV",
    .models = {{.types = {"rwkv"}, .features = {"default", "causal-lm"}, .make = make<RwkvOnnxConfig>}},
})

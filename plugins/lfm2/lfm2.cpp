// SPDX-License-Identifier: Apache-2.0
// LFM2 (arXiv:2511.23404): layers of short gated convolutions and of attention. Source: Lfm2Model, Lfm2MoeModel and
// their heads, transformers 4.57 and 5.24.
#include <onnxport/blocks/causal_convolution.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

#include "config.hpp"

using namespace lfm2;

namespace {

class Lfm2OnnxConfig final : public RotaryDecoder {
 public:
  explicit Lfm2OnnxConfig(const Request& request)
      : RotaryDecoder(request), c(request.config, request.model_type == "lfm2_moe") {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }

  std::vector<State> states_of(int64_t layer) const override {
    return c.convolves(layer) ? std::vector<State>{state_of(convolution(), layer)} : keys_and_values(layer);
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .classes = {},
            .token_classes = {},
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    return embedding(s / "embed_tokens", ids, {c.vocab, c.hidden});
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Value counts = unsqueeze(fresh_mask(in), {2});
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t i) { return layer(s / "layers" / i, i, counts); }};
    const Value y = transformer_layers(s / "layers", start(s, in), stack,
                                       {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "embedding_norm", y, c.norm));
  }

  /// `counts`: i64[batch, n, 1], 1 for the tokens of the step that count.
  TransformerLayer layer(const Scope& scope, int64_t index, const Value& counts) const {
    TransformerLayer form{
        .attention_at = "self_attn",
        .feed_forward_at = "feed_forward",
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.output = "out_proj"},
                      .query_key_norm = QueryKeyNorm{.norm = c.norm, .query = "q_layernorm", .key = "k_layernorm"},
                      .causal = true},
        .feed_forward = c.feed_forward,
        .attention_branch = {.norm = c.norm, .name = "operator_norm"},
        .feed_forward_branch = {.norm = c.norm, .name = "ffn_norm"}};
    if (c.mixture && index >= c.dense_layers) form.mixture = saved_form(scope / "feed_forward", *c.mixture).form;
    if (c.convolves(index)) {
      form.attention_at = "conv";
      form.own_attention = [this, counts](const Scope& module, const Value& x, const Attended& given) {
        return short_convolution(module, x * cast(counts, x.dtype()), given);
      };
    }
    return form;
  }

  /// x: f[batch, n, hidden], 0 where a text is padded -> the same. Source: Lfm2ShortConv, transformers 5.24.
  Value short_convolution(const Scope& s, const Value& x, const Attended& given) const {
    const Value made = linear(s / "in_proj", x, {.out = 3 * c.hidden, .bias = c.bias});
    const std::vector<Value> parts = split(made, -1, {c.hidden, c.hidden, c.hidden});  // both gates, what they let pass
    const Value mixed = causal_convolution(s / "conv", parts[0] * parts[2], convolution(), *given.cache, given.layer);
    return linear(s / "out_proj", parts[1] * mixed, {.out = c.hidden, .bias = c.bias});
  }
  CausalConvolution convolution() const { return {.channels = c.hidden, .kernel = c.kernel, .bias = c.bias}; }

  const Lfm2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.lfm2",
    .name = "LFM2",
    .models = {{.types = {"lfm2", "lfm2_moe"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<Lfm2OnnxConfig>}},
})

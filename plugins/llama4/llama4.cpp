// SPDX-License-Identifier: Apache-2.0
// The text model of Llama 4. Source: Llama4TextModel and Llama4ForCausalLM, transformers 4.57 and 5.24.
#include <limits>

#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

#include "config.hpp"

using namespace llama4;

namespace {

class Llama4OnnxConfig final : public RotaryDecoder {
 public:
  explicit Llama4OnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("llama4_text", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .max_positions = c.positions, .tied = c.tied, .classes = "", .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    const Value ids = in.at("input_ids"), mask = in.at("attention_mask");
    const Angles of_text = angles(s, in);
    const Value places = places_of(s, ids, mask), same_chunk = chunks(s, places, mask),
                factor = query_factor(s, places);
    Value x = embedding(s / "embed_tokens", ids, {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string number = std::to_string(i);
      g.mark("hidden_states." + number, x);
      const Attended given{.mask = mask,
                           .bias = c.is_chunked(i) ? same_chunk : Value(),
                           .angles = c.turns(i) ? of_text : Angles{},
                           .factor = c.turns(i) ? Value() : factor,
                           .cache = &cache,
                           .layer = i,
                           .probabilities = "attentions." + number};
      x = transformer_layer(s / "layers" / i, x, layer(i), given);
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.norm));
  }

  TransformerLayer layer(int64_t index) const {
    TransformerLayer form{.feed_forward_at = "feed_forward",
                          .attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                                        .causal = true,
                                        .interleaved = true},
                          .feed_forward = c.dense,
                          .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = c.norm, .name = "post_attention_layernorm"}};
    if (c.query_key_norm && c.turns(index)) {
      Norm unit = c.norm;
      unit.weight = false;
      form.attention.query_key_norm = {.norm = unit, .turned = true};
    }
    if (c.is_mixture[static_cast<size_t>(index)])
      form.own_feed_forward = [this](const Scope& module, const Value& h) { return mixture(module, h); };
    return form;
  }

  /// Experts read a token times its affinity to them, and what they yield is added as it is; beside them is one for all
  /// tokens. Source: Llama4TextMoe, transformers 4.57 and 5.24.
  Value mixture(const Scope& s, const Value& x) const {
    Graph& g = s.graph();
    const Value products = linear(s / "router", x, {.out = c.experts.count, .bias = false});
    const TopK best = top_k(products, c.top_k);
    const std::vector<int64_t> one_each(static_cast<size_t>(c.top_k), 1);
    const std::vector<Value> affinities = split(sigmoid(best.values), -1, one_each);
    const std::vector<Value> numbers = split(best.indices, -1, one_each);
    const Experts experts = experts_of(s / "experts", c.experts);
    Value mixed = feed_forward(s / "shared_expert", x, c.shared);
    for (size_t i = 0; i < numbers.size(); ++i) {
      const Value chosen = cast(equal(numbers[i], range(g.integer(c.experts.count))), DType::f32);
      mixed = mixed + mixture_of_experts((x * affinities[i]).in(s), chosen, experts,
                                         {.top_k = 1, .activation = c.dense.activation});
    }
    return mixed.in(s);
  }

  /// The places of the step's tokens, padding counted, behind the past: i64[n].
  static Value places_of(const Scope& s, const Value& ids, const Value& mask) {
    const Value tokens = size_of(ids, 1), total = size_of(mask, 1);
    return (range(tokens) + (total - tokens)).in(s);
  }

  /// Tokens see those of their own chunk, which are counted from the first one that is no padding: f32[batch, 1, n,
  /// total]; absent where no layer is chunked. Source: create_chunked_causal_mask, transformers 5.24.
  Value chunks(const Scope& s, const Value& places, const Value& mask) const {
    if (c.chunk == 0) return {};
    Graph& g = s.graph();
    const Value padding = cast(equal(cumulative_sum(mask, 1), 0), DType::i64);
    const Value begin = g.op("ReduceSum", {padding}, {{"axes", {1}}, {"keepdims", 1}});  // i64[batch, 1]
    const auto chunk_of = [&](const Value& place) {
      // Of padding before it, which sees and is seen by nothing, any will do.
      return g.op("Max", {unsqueeze(place, {0}) - begin, g.integer(0)}) / g.integer(c.chunk);
    };
    const Value same = equal(unsqueeze(chunk_of(places), {2}), unsqueeze(chunk_of(range(size_of(mask, 1))), {1}));
    const Value far = g.scalar(static_cast<double>(std::numeric_limits<float>::lowest()));
    return unsqueeze(where(same.in(s), g.scalar(0), far), {1});
  }

  /// What queries of layers that do not turn are multiplied by: f32[1, n, 1]; absent: 1.
  Value query_factor(const Scope& s, const Value& places) const {
    if (!c.tuned) return {};
    const Value passed = (places + s.graph().integer(1)) / s.graph().integer(c.floor_scale);
    return unsqueeze(log(cast(passed, DType::f32).in(s) + 1.0) * c.growth + 1.0, {0, 2});
  }

  const Llama4Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llama4",
    .name = "Llama 4 (text)",
    .models = {{.types = {"llama4_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<Llama4OnnxConfig>}},
})

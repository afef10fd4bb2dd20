// SPDX-License-Identifier: Apache-2.0
// Qwen3-Next and the text models of Qwen 3.5: layers by the gated delta rule and layers of gated attention.
// Source: Qwen3NextModel, Qwen3_5TextModel, Qwen3_5MoeTextModel and their heads, transformers 4.57 and 5.24.
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

#include "config.hpp"

using namespace qwen3_next;

namespace {

class Qwen3NextOnnxConfig final : public RotaryDecoder {
 public:
  explicit Qwen3NextOnnxConfig(const Request& request)
      : RotaryDecoder(request),
        family(row_of(families, request.model_type)),
        with_images(request.options.text("position_axes", "1") == "3"),
        c(request.config, family, with_images) {}

  /// As part of a model with images it is given positions of three axes.
  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = RotaryDecoder::inputs();
    if (!with_images) return specs;
    std::erase_if(specs, [](const TensorSpec& spec) { return spec.name == "position_ids"; });
    specs.push_back(
        input::positions("position_ids", {3, axis::batch, axis::sequence}, {.of = "input_ids", .limit = c.positions}));
    return specs;
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  std::vector<State> states_of(int64_t layer) const override {
    return c.attends(layer) ? keys_and_values(layer) : c.mixer.states(layer);
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.base = task() == "question-answering" ? family.span_base : "model",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.text_classes,
            .token_classes = family.token_classes,
            .span = family.span,
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    return embedding(s / "embed_tokens", ids, {c.vocab, c.hidden});
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Value counts = unsqueeze(fresh_mask(in), {2});
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t i) { return layer(s / "layers" / i, i, counts); }};
    const Angles turns = with_images ? c.rotary.angles(in.at("position_ids").in(s / "rotary_emb")) : angles(s, in);
    const Value x = transformer_layers(s / "layers", start(s, in), stack,
                                       {.mask = in.at("attention_mask"), .angles = turns, .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.norm));
  }

  /// `counts`: i64[batch, n, 1], 1 for the tokens of the step that count.
  TransformerLayer layer(const Scope& scope, int64_t index, const Value& counts) const {
    TransformerLayer form{.attention_branch = {.norm = c.norm, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = c.norm, .name = "post_attention_layernorm"}};
    c.feeds.put_into(form, scope, index);
    if (c.attends(index)) {
      form.own_attention = [this](const Scope& s, const Value& x, const Attended& given) {
        return gated_attention(s, x, given);
      };
    } else {
      form.attention_at = "linear_attn";
      form.own_attention = [this, counts](const Scope& s, const Value& x, const Attended& given) {
        return gated_delta_mixer(s, x * cast(counts, x.dtype()), c.mixer, *given.cache, given.layer);
      };
    }
    return form;
  }

  /// Attention whose result passes a gate of every head, which the layer of queries makes as well.
  /// Source: Qwen3NextAttention, transformers 5.24.
  Value gated_attention(const Scope& s, const Value& x, const Attended& given) const {
    const int64_t d = c.head_size, kv_width = c.kv_heads * d;
    const Value both = linear(s / "q_proj", x, {.out = 2 * c.heads * d, .bias = c.bias});
    const std::vector<Value> parts = split(reshape(both, {0, 0, c.heads, 2 * d}), -1, {d, d});
    const auto heads_of = [](const Value& apart) { return transpose(apart, {0, 2, 1, 3}); };
    const Value key = linear(s / "k_proj", x, {.out = kv_width, .bias = c.bias});
    const QueryKeyValue made{heads_of(norm(s / "q_norm", parts[0], c.norm)),
                             norm(s / "k_norm", split_heads(key, c.kv_heads), c.norm),
                             linear(s / "v_proj", x, {.out = kv_width, .bias = c.bias})};
    const AttentionBlock block{.heads = c.heads, .kv_heads = c.kv_heads, .head_size = d, .causal = true};
    const Value gate = sigmoid(reshape(parts[1], {0, 0, c.heads * d}));
    return linear(s / "o_proj", mix(s, made, block, given) * gate, {.out = c.hidden, .bias = c.bias});
  }

  const Family& family;
  const bool with_images;
  const Qwen3NextConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.qwen3_next",
    .name = "Qwen3-Next and Qwen 3.5",
    .models = {{.types = {"qwen3_next"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<Qwen3NextOnnxConfig>},
               {.types = {"qwen3_5_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<Qwen3NextOnnxConfig>},
               {.types = {"qwen3_5_moe_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<Qwen3NextOnnxConfig>}},
})

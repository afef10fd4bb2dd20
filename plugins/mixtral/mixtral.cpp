// SPDX-License-Identifier: Apache-2.0
// Mixtral and the decoders with mixtures of experts that differ from it in options. Source: MixtralModel,
// Qwen2MoeModel, Qwen3MoeModel, OlmoeModel, GraniteMoeModel, PhimoeModel, GptOssModel, Glm4MoeModel, Dots1Model,
// Ernie4_5_MoeModel and their heads, transformers 4.57 and 5.24.
#include <onnxport/deep_images.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

#include "config.hpp"

using namespace mixtral;

namespace {

class MixtralOnnxConfig final : public RotaryDecoder {
 public:
  explicit MixtralOnnxConfig(const Request& request)
      : RotaryDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {
    if (family.deep_images) require_given_positions(request);
  }

  std::vector<TensorSpec> inputs() const override {
    return family.deep_images ? with_three_axes(TextDecoder::inputs(), c.positions) : TextDecoder::inputs();
  }
  std::vector<Part> offers() const override {
    std::vector<Part> parts = TextDecoder::offers();
    if (family.deep_images) offer_deepstack(parts.back(), c.layers, c.hidden);
    return parts;
  }

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
    return {.base = task() == "question-answering" ? family.heads.span_base : "model",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_bias = c.words_bias,
            .words_scale = c.multipliers.logits,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.heads.text,
            .token_classes = family.heads.tokens,
            .span = family.heads.span,
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    const Value x = embedding(s / "embed_tokens", ids, {c.vocab, c.hidden});
    return c.multipliers.embedding == 1 ? x : x * c.multipliers.embedding;
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*layers." + std::to_string(c.layers) + ".*");  // predicts one more token, in training
    g.unused("*mtp_*");
    const LayerStack stack{.count = c.layers,
                           .layer = [&](int64_t i) { return layer(s / "layers" / i, i); },
                           .behind = [&](int64_t i, const Value& x) { return with_deepstack(in, i, x); }};
    const Angles turned_by =
        family.deep_images ? c.rotary.angles(in.at("position_ids").in(s / "rotary_emb")) : angles(s, in);
    const Value x = transformer_layers(s / "layers", start(s, in), stack,
                                       {.mask = in.at("attention_mask"), .angles = turned_by, .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.norm));
  }

  TransformerLayer layer(const Scope& s, int64_t index) const {
    TransformerLayer form{.attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, c.output_bias}},
                                        .clip = c.clip,
                                        .scale = c.multipliers.scores,
                                        .causal = family.causal,
                                        .window = c.window(index),
                                        .interleaved = family.interleaved,
                                        .sinks = family.sinks ? "sinks" : ""},
                          .attention_branch = branch(family.norms.attention),
                          .feed_forward_branch = branch(family.norms.feed_forward)};
    if (c.query_key != QueryKey::as_they_are)
      form.attention.query_key_norm = {.norm = c.norm, .per_head = c.query_key == QueryKey::normed_by_head};
    c.feed_forwards.put_into(form, s, index);
    return form;
  }

  Residual branch(const char* name) const {
    return {.placement = family.norms.placement, .norm = c.norm, .name = name, .scale = c.multipliers.residual};
  }

  const Family& family;
  const MixtralConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mixtral",
    .name = "Mixtral and its relatives",
    .models = {{.types = {"mixtral", "qwen2_moe", "qwen3_moe"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<MixtralOnnxConfig>},
               {.types = {"gpt_oss"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<MixtralOnnxConfig>},
               {.types = {"qwen3_vl_moe_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<MixtralOnnxConfig>},
               {.types = {"phimoe"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<MixtralOnnxConfig>},
               {.types = {"openai_privacy_filter"},
                .features = {"default", "token-classification"},
                .make = make<MixtralOnnxConfig>},
               {.types = {"olmoe", "flex_olmo", "granitemoe", "granitemoeshared", "glm4_moe", "solar_open", "dots1",
                          "ernie4_5_moe", "minimax_m2", "aria_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<MixtralOnnxConfig>}},
})

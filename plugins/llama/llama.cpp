// SPDX-License-Identifier: Apache-2.0
// Llama and the models that differ from it in options. Source: LlamaModel, MistralModel, Qwen2Model, Qwen3Model,
// SmolLM3Model, GraniteModel, OlmoModel, Olmo2Model, Phi3Model and their heads, transformers 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

#include "config.hpp"

using namespace llama;

namespace {

class LlamaOnnxConfig final : public RotaryDecoder {
 public:
  explicit LlamaOnnxConfig(const Request& request)
      : RotaryDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.base = task() == "question-answering" ? family.heads.span_base : "model",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_scale = c.multipliers.logits,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.heads.text,
            .token_classes = family.heads.tokens,
            .span = family.heads.span};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    if (c.multipliers.embedding != 1) x = x * c.multipliers.embedding;
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
                                        .projections = {.packing = family.fused ? Projections::Packing::blocks
                                                                                : Projections::Packing::apart,
                                                        .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, c.output_bias}},
                                        .clip = c.clip,
                                        .scale = c.multipliers.scores,
                                        .causal = c.causal,
                                        .window = c.slides(index) ? c.window : 0},
                          .feed_forward = {.inner = c.inner,
                                           .activation = c.activation,
                                           .gate = "gate_proj",
                                           .gate_up = family.fused ? "gate_up_proj" : "",
                                           .bias = c.mlp_bias},
                          .attention_branch = branch(family.norms.attention),
                          .feed_forward_branch = branch(family.norms.feed_forward)};
    if (family.query_key != QueryKey::as_they_are)
      form.attention.query_key_norm = {.norm = c.norm, .per_head = family.query_key == QueryKey::normed_by_head};
    return form;
  }

  Residual branch(const char* name) const {
    return {.placement = family.norms.placement, .norm = c.norm, .name = name, .scale = c.multipliers.residual};
  }

  const Family& family;
  const LlamaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llama",
    .name = "Llama and its relatives",
    .models = {{.types = {"llama", "mistral", "qwen2", "qwen3", "smollm3"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<LlamaOnnxConfig>},
               {.types = {"phi3"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<LlamaOnnxConfig>},
               {.types = {"olmo", "olmo2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<LlamaOnnxConfig>},
               {.types = {"granite"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<LlamaOnnxConfig>}},
})

// SPDX-License-Identifier: Apache-2.0
// Llama and the models that differ from it in options. Source: LlamaModel, the …Model classes of the types in
// families.hpp, and their heads, transformers 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/deep_images.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/usual_cache.hpp>

#include "config.hpp"

using namespace llama;

namespace {

class LlamaOnnxConfig final : public TextDecoder {
 public:
  explicit LlamaOnnxConfig(const Request& request)
      : TextDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {
    require_looking_back(c.causal, "'is_causal' is false");
    if (!has_one_axis()) require_given_positions(request);
  }

  /// Positions of several axes are always given.
  std::vector<TensorSpec> inputs() const override {
    return has_one_axis() ? TextDecoder::inputs() : with_three_axes(TextDecoder::inputs(), c.positions);
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
  Positions positions_in_generation() const override {
    const bool normed_as_turned = family.query_key && family.query_key->turned;
    const bool apart = normed_as_turned || family.queries_grow || c.rotary.depends_on_length();
    return apart ? Positions::mask : Positions::sequence;
  }

 private:
  TextDecoderTraits traits() const override {
    const bool other_base = task() == "question-answering" && *family.heads.span_base != '\0';
    return {.base = other_base ? family.heads.span_base : family.names.base,
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = family.names.embedding,
            .tied = c.tied,
            .words_scale = c.factors.logits,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.heads.text,
            .token_classes = family.heads.tokens,
            .span = family.heads.span,
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    // transformers 5 renames what a head's checkpoint has below "model.", and not what a base model's has.
    const Scope published = s / family.names.embedding, in_memory = s / Names{}.embedding;
    const bool renamed = published.has("weight") || !in_memory.has("weight");
    const Value x = embedding(renamed ? published : in_memory, ids, {c.vocab, c.hidden});
    return c.factors.embedding == 1 ? x : x * c.factors.embedding;
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*rotary_emb.inv_freq");   // saved by older releases; config.json tells it
    if (!c.mixtures.mixture.empty()) {  // predict one more token, in training
      g.unused("*layers." + std::to_string(c.layers) + ".*");
      g.unused("*mtp.*");
    }
    const Value places = has_one_axis() ? position_ids(in) : in.at("position_ids");
    const auto turned_by = c.rotary.angles(places.in(s / "rotary_emb"));
    const LayerStack stack{.count = c.layers,
                           .layer = [&](int64_t i) { return layer(s / family.names.layers / i, i); },
                           .angles = [&](int64_t i) { return c.turns(i) ? turned_by(i) : Angles{}; },
                           .behind = [&](int64_t i, const Value& x) { return with_deepstack(in, i, x); }};
    const Value x =
        transformer_layers(s / family.names.layers, start(s, in), stack,
                           {.mask = in.at("attention_mask"), .factor = query_factor(s, in), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / family.names.norm, x, c.norm));
  }

  bool has_one_axis() const { return family.turning.axes == RotaryFields::Axes::one; }

  /// f32[batch or 1, n, 1], absent where queries do not grow.
  Value query_factor(const Scope& s, const Inputs& in) const {
    if (c.growth.beta == 0) return {};
    const Value at = unsqueeze(position_ids(in), {2}).in(s);
    const Value passed = cast(at / s.graph().integer(c.growth.length), DType::f32);
    return log(passed + 1.0) * c.growth.beta + 1.0;
  }

  TransformerLayer layer(const Scope& s, int64_t index) const {
    TransformerLayer form{.attention_at = family.names.attention,
                          .attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.packing = family.fused ? Projections::Packing::blocks
                                                                                : Projections::Packing::apart,
                                                        .fused = family.names.fused,
                                                        .output = family.names.output,
                                                        .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, c.output_bias}},
                                        .query_key_norm = family.query_key,
                                        .clip = c.clip,
                                        .scale = c.factors.scores,
                                        .causal = c.causal,
                                        .window = c.slides(index) ? c.window : 0,
                                        .interleaved = family.turning.interleaved,
                                        .sinks = sinks(s / family.names.attention)},
                          .feed_forward = {.inner = c.inner,
                                           .activation = c.activation,
                                           .up = family.names.up,
                                           .down = family.names.down,
                                           .gate = family.gate == Gate::apart ? family.names.gate : "",
                                           .gate_up = family.gate == Gate::with_values ? "gate_up_proj" : "",
                                           .bias = c.mlp_bias},
                          .attention_branch = branch(family.norms.attention, family.norms.behind_attention),
                          .feed_forward_branch = branch(family.norms.feed_forward, family.norms.behind_feed_forward)};
    if (form.attention.query_key_norm) form.attention.query_key_norm->norm = c.norm;
    if (!c.mixtures.mixture.empty()) c.mixtures.put_into(form, s, index);
    return form;
  }

  std::string sinks(const Scope& attention) const {
    for (const char* name : family.sinks) {
      if (attention.has(name)) return name;
    }
    return family.sinks.empty() ? "" : family.sinks[0];
  }

  Residual branch(const char* name, const char* behind) const {
    return {.placement = c.placement, .norm = c.norm, .name = name, .second = behind, .scale = c.factors.residual};
  }

  const Family& family;
  const LlamaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llama",
    .name = "Llama and its relatives",
    .models =
        {{.types = {"llama", "mistral", "ministral", "ministral3", "qwen2", "qwen3", "smollm3", "seed_oss", "arcee",
                    "nemotron", "exaone4"},
          .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "sequence-classification",
                       "token-classification", "question-answering"},
          .make = make<LlamaOnnxConfig>},
         {.types = {"qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text", "glm_ocr_text"},
          .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
          .make = make<LlamaOnnxConfig>},
         {.types = {"phi3", "helium", "glm", "glm4"},
          .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "sequence-classification",
                       "token-classification"},
          .make = make<LlamaOnnxConfig>},
         {.types = {"olmo", "olmo2", "olmo3", "hunyuan_v1_dense", "hunyuan_v1_moe"},
          .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "sequence-classification"},
          .make = make<LlamaOnnxConfig>},
         {.types = {"apertus"},
          .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "token-classification"},
          .make = make<LlamaOnnxConfig>},
         {.types = {"granite", "granite_swa", "ernie4_5", "exaone", "internlm3", "iquestcoder", "cwm", "jais2",
                    "hyperclovax", "granitemoe_swa", "exaone_moe", "mellum", "hy_v3", "sarvam_moe", "flint"},
          .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
          .make = make<LlamaOnnxConfig>}},
})

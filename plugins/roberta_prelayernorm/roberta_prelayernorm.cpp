// SPDX-License-Identifier: Apache-2.0
// RoBERTa with its norms before the branches: RoBERTa-PreLayerNorm, and XLM-RoBERTa-XL.
// Source: RobertaPreLayerNormModel, XLMRobertaXLModel and their heads, transformers 4.57
// (modeling_roberta_prelayernorm.py, modeling_xlm_roberta_xl.py).
#include <onnxport/families/bert_decoder.hpp>

using namespace onnxport::family;

namespace {

/// Where the norms of a type are.
struct Relative {
  std::string_view type;
  const char* base;
  BertDefaults defaults;
  bool embeddings_normed;
  const char *before_attention, *before_feed_forward;  // below a layer
  const char *behind_layers, *behind_encoder;          // below the encoder, below the base model; "" for none
};
constexpr Relative relatives[] = {{.type = "roberta-prelayernorm",
                                   .base = "roberta_prelayernorm",
                                   .defaults = {.vocab = 50265},
                                   .embeddings_normed = true,
                                   .before_attention = "attention.LayerNorm",
                                   .before_feed_forward = "intermediate.LayerNorm",
                                   .behind_layers = "",
                                   .behind_encoder = "LayerNorm"},
                                  {.type = "xlm-roberta-xl",
                                   .base = "roberta",
                                   .defaults = {.vocab = 250880,
                                                .hidden = 2560,
                                                .layers = 36,
                                                .heads = 32,
                                                .inner = 10240,
                                                .max_positions = 514,
                                                .segments = 1,
                                                .epsilon = 1e-5},
                                   .embeddings_normed = false,
                                   .before_attention = "attention.self_attn_layer_norm",
                                   .before_feed_forward = "LayerNorm",
                                   .behind_layers = "LayerNorm",
                                   .behind_encoder = ""}};

struct Layers {
  const Relative& row;
  bool ends_normed;  // the last of the hidden states is what the norm behind the encoder yields: since version 5

  TransformerLayer layer(const BertEncoder& bert) const {
    TransformerLayer layer = bert.layer();
    layer.attention_branch = {Placement::before, {.epsilon = bert.epsilon}, row.before_attention};
    layer.feed_forward_branch = {Placement::before, {.epsilon = bert.epsilon}, row.before_feed_forward};
    return layer;
  }
  Value embed(const Scope& s, const BertEncoder& bert, const BertEncoder::Embedded& in) const {
    return row.embeddings_normed ? bert.embed(s / "embeddings", in) : bert.embedded_sum(s / "embeddings", in);
  }
  Value encode(const Scope& s, const BertEncoder& bert, const Value& x, BertEncoder::Layers how) const {
    how.last_norm = row.behind_layers;
    if (*row.behind_encoder == '\0') return bert.encode(s / "encoder", x, how);
    const auto behind = [&](const Value& made) {
      return norm(s / row.behind_encoder, made, {.epsilon = bert.epsilon});
    };
    if (!ends_normed) return behind(bert.encode(s / "encoder", x, how));
    const LayerStack stack{.count = bert.layers, .layer = [&](int64_t) { return how.layer; }};
    return bert.last_step(behind(transformer_layers(s / "encoder.layer", x, stack, how.given)));
  }
};

class PreNormOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit PreNormOnnxConfig(const Request& request)
      : PreNormOnnxConfig(request, row_of(relatives, request.model_type)) {}

 private:
  PreNormOnnxConfig(const Request& request, const Relative& row)
      : RobertaTextEncoder(request, {.base = row.base}, row.defaults),
        layers{row, request.config.written_since(5, 0)} {}

  Value encode(const Scope& s, const Text& text) const override {
    const Value x = layers.embed(s, bert, embedded(text));
    return layers.encode(s, bert, x, {layers.layer(bert), bert.attended(text)});
  }

  const Layers layers;
};

class PreNormDecoder final : public RobertaDecoder {
 public:
  explicit PreNormDecoder(const Request& request) : PreNormDecoder(request, row_of(relatives, request.model_type)) {}

 private:
  PreNormDecoder(const Request& request, const Relative& row)
      : RobertaDecoder(request, {.base = row.base}, row.defaults), layers{row, request.config.written_since(5, 0)} {}

  Value embedded(const Scope& s, const BertEncoder::Embedded& in) const override { return layers.embed(s, bert, in); }
  TransformerLayer layer() const override { return layers.layer(bert); }
  // It is normed as the attention to the text itself is.
  Residual cross_branch() const override {
    return {Placement::before, {.epsilon = bert.epsilon}, "cross" + std::string(layers.row.before_attention)};
  }
  Value encode(const Scope& s, const Value& x, const BertEncoder::Layers& how) const override {
    return layers.encode(s, bert, x, how);
  }

  const Layers layers;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.roberta-prelayernorm",
    .name = "RoBERTa-PreLayerNorm",
    .models = {{.types = {"roberta-prelayernorm", "xlm-roberta-xl"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "multiple-choice", "token-classification", "question-answering"},
                .make = make_encoder_or_decoder<PreNormOnnxConfig, PreNormDecoder>}},
})

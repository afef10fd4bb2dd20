// SPDX-License-Identifier: Apache-2.0
// RoBERTa with its norms before the branches: RoBERTa-PreLayerNorm, and XLM-RoBERTa-XL.
// Source: RobertaPreLayerNormModel, XLMRobertaXLModel and their heads, transformers 4.57
// (modeling_roberta_prelayernorm.py, modeling_xlm_roberta_xl.py).
#include <onnxport/families/roberta.hpp>

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

class PreNormOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit PreNormOnnxConfig(const Request& request)
      : PreNormOnnxConfig(request, row_of(relatives, request.model_type)) {}

 private:
  PreNormOnnxConfig(const Request& request, const Relative& row)
      : RobertaTextEncoder(request, {.base = row.base}, row.defaults), row(row) {}

  Value encode(const Scope& s, const Text& text) const override {
    const Scope embeddings = s / "embeddings";
    Value x =
        row.embeddings_normed ? bert.embed(embeddings, embedded(text)) : bert.embedded_sum(embeddings, embedded(text));
    TransformerLayer layer = bert.layer();
    layer.attention_branch = {Placement::before, {.epsilon = bert.epsilon}, row.before_attention};
    layer.feed_forward_branch = {Placement::before, {.epsilon = bert.epsilon}, row.before_feed_forward};
    x = bert.encode(s / "encoder", x, {layer, bert.attended(text), row.behind_layers});
    return *row.behind_encoder == '\0' ? x : norm(s / row.behind_encoder, x, {.epsilon = bert.epsilon});
  }

  const Relative& row;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.roberta-prelayernorm",
    .name = "RoBERTa-PreLayerNorm",
    .models = {{.types = {"roberta-prelayernorm", "xlm-roberta-xl"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<PreNormOnnxConfig>}},
})

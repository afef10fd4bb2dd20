// SPDX-License-Identifier: Apache-2.0
// BERT. Source: BertModel and its heads, transformers 4.30 (modeling_bert.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class BertOnnxConfig final : public TextEncoder {
 public:
  explicit BertOnnxConfig(const Request& request) : TextEncoder(request), bert(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "bert", .vocab = bert.vocab, .segments = bert.segments, .max_positions = bert.max_positions};
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments});
    return bert.encode(s / "encoder", x, text);
  }

  Value pool(const Scope& s, const Value& hidden) const override { return bert.pool(s / "pooler", hidden); }

  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.at = "cls.predictions",
                                   .head = {.names = {.dense = "transform.dense", .norm = "transform.LayerNorm"},
                                            .width = bert.hidden,
                                            .vocab = bert.vocab,
                                            .activation = bert.activation,
                                            .epsilon = bert.epsilon},
                                   .tied = bert.tied},
            .pair = PairHead{}};
  }

  const BertEncoder bert;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bert",
    .name = "BERT",
    .models = {{.types = {"bert"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering", "pretraining", "next-sentence-prediction"},
                .make = make<BertOnnxConfig>}},
})

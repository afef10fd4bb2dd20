// SPDX-License-Identifier: Apache-2.0
// BERT. Source: BertModel and its heads, transformers 4.30 (modeling_bert.py).
#include <onnxport/families/bert_decoder.hpp>

#include "jina.hpp"

using namespace onnxport::family;

namespace {

class BertOnnxConfig final : public BertTextEncoder {
 public:
  explicit BertOnnxConfig(const Request& request) : BertTextEncoder(request, "bert") {}
};

/// Jina Embeddings v2 call themselves BERT.
std::unique_ptr<OnnxConfig> make_bert(const Request& request) {
  if (request.config.text("position_embedding_type", "") == "alibi") return make<jina::JinaBertOnnxConfig>(request);
  if (asks_for_decoder(request)) return std::make_unique<BertDecoder>(request, "bert");
  return make<BertOnnxConfig>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bert",
    .name = "BERT",
    .models = {{.types = {"bert"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "token-classification", "multiple-choice", "question-answering", "pretraining",
                             "next-sentence-prediction"},
                .make = make_bert}},
})

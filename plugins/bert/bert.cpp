// SPDX-License-Identifier: Apache-2.0
// BERT. Source: BertModel and its heads, transformers 4.30 (modeling_bert.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class BertOnnxConfig final : public BertTextEncoder {
 public:
  explicit BertOnnxConfig(const Request& request) : BertTextEncoder(request, "bert") {}
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

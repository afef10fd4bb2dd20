// SPDX-License-Identifier: Apache-2.0
// RoBERTa, XLM-RoBERTa and CamemBERT, which are RoBERTa in other languages, and data2vec's model of texts, which is
// RoBERTa trained otherwise. Source: RobertaModel and its heads, transformers 4.30 (modeling_roberta.py,
// modeling_xlm_roberta.py, modeling_camembert.py, modeling_data2vec_text.py).
#include <onnxport/families/bert_decoder.hpp>

#include "jina.hpp"

using namespace onnxport::family;

namespace {

struct Relative {
  std::string_view type;
  const char* base = "roberta";
  int64_t vocab = 30522;
};
constexpr Relative relatives[] = {{.type = "roberta", .vocab = 50265},
                                  {.type = "xlm-roberta"},
                                  {.type = "camembert"},
                                  {.type = "data2vec-text", .base = "data2vec_text"}};

class RobertaOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit RobertaOnnxConfig(const Request& request)
      : RobertaOnnxConfig(request, row_of(relatives, request.model_type)) {}

 private:
  RobertaOnnxConfig(const Request& request, const Relative& row)
      : RobertaTextEncoder(request, {.base = row.base}, {.vocab = row.vocab}) {}
};

/// The first checkpoints of Jina Embeddings v3 call themselves XLM-RoBERTa.
std::unique_ptr<OnnxConfig> make_roberta(const Request& request) {
  if (request.model_type == "xlm-roberta" && request.config.text("position_embedding_type", "") == "rotary")
    return make<jina::JinaOnnxConfig>(request);
  if (asks_for_decoder(request)) {
    const Relative& row = row_of(relatives, request.model_type);
    return std::make_unique<RobertaDecoder>(request, RobertaTextEncoder::Traits{.base = row.base},
                                            BertDefaults{.vocab = row.vocab});
  }
  return make<RobertaOnnxConfig>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.roberta",
    .name = "RoBERTa",
    .models = {{.types = {"roberta", "xlm-roberta", "camembert", "data2vec-text"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "multiple-choice", "token-classification", "question-answering"},
                .architectures = {{"XLMRobertaLoRA", "default"}},
                .make = make_roberta},
               {.types = {"jina_embeddings_v3"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "question-answering"},
                .make = make<jina::JinaOnnxConfig>}},
})

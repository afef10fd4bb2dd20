// SPDX-License-Identifier: Apache-2.0
// RoBERTa, and XLM-RoBERTa and CamemBERT, which are RoBERTa in other languages. Source: RobertaModel and its heads,
// transformers 4.30 (modeling_roberta.py, modeling_xlm_roberta.py, modeling_camembert.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

int64_t default_vocab(const Request& request) {
  return request.model_type == "roberta" ? 50265 : 30522;
}

class RobertaOnnxConfig final : public TextEncoder {
 public:
  explicit RobertaOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.vocab = default_vocab(request)}),
        padding(request.config.integer("pad_token_id", 1)) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "roberta", .vocab = bert.vocab, .max_positions = bert.max_positions - 1 - padding};
  }

  // BERT without segments; positions count the tokens that are not padding.
  Value encode(const Scope& s, const Text& text) const override {
    const Value x =
        bert.embed(s / "embeddings", {.ids = text.ids, .positions = positions_past_padding(text.ids, padding)});
    return bert.encode(s / "encoder", x, text);
  }

  Value pool(const Scope& s, const Value& hidden) const override { return bert.pool(s / "pooler", hidden); }

  // A text's class is read at its first token, <s>, through a layer of the head's own.
  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.at = "lm_head",
                                   .head = {.width = bert.hidden, .vocab = bert.vocab, .epsilon = bert.epsilon},
                                   .tied = bert.tied},
            .classes = [this](const Encoded& at) {
              const Scope head = at.base.graph().root() / "classifier";
              return text_classifier(head, pick(at.hidden, 1, 0), bert.hidden, labels());
            }};
  }

  const BertEncoder bert;
  const int64_t padding;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.roberta",
    .name = "RoBERTa",
    .models = {{.types = {"roberta", "xlm-roberta", "camembert"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<RobertaOnnxConfig>}},
})

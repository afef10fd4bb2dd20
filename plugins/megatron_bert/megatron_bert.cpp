// SPDX-License-Identifier: Apache-2.0
// Megatron-BERT: BERT with its norms before the branches and none behind the embeddings. Source: MegatronBertModel and
// its heads, transformers 4.57 (modeling_megatron_bert.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class MegatronBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit MegatronBertOnnxConfig(const Request& request)
      : BertTextEncoder(request, "bert", {.vocab = 29056, .hidden = 1024, .layers = 24, .heads = 16, .inner = 4096}) {}

 private:
  // A language model reads one text, all of the first segment.
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    if (task() == "causal-lm") t.segments = 0;
    return t;
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Value x = bert.embedded_sum(s / "embeddings", {.ids = text.ids, .segments = text.segments});
    TransformerLayer layer = bert.layer();
    layer.attention_branch = {Placement::before, {.epsilon = bert.epsilon}, "attention.ln"};
    layer.feed_forward_branch = {Placement::before, {.epsilon = bert.epsilon}, "ln"};
    return bert.encode(s / "encoder", x, {layer, bert.attended(text), "ln"});
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.megatron-bert",
    .name = "Megatron-BERT",
    .models = {{.types = {"megatron-bert"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering", "pretraining", "next-sentence-prediction"},
                .make = make<MegatronBertOnnxConfig>}},
})

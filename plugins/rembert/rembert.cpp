// SPDX-License-Identifier: Apache-2.0
// RemBERT: BERT whose embeddings are narrower at the entrance than at the exit, and not shared. Source: RemBertModel
// and its heads, transformers 4.57 (modeling_rembert.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class RemBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit RemBertOnnxConfig(const Request& request)
      : BertTextEncoder(request, "rembert",
                        {.vocab = 250300, .hidden = 1152, .layers = 32, .heads = 18, .inner = 4608}),
        entrance(request.config.size("input_embedding_size", 256)),
        exit(request.config.size("output_embedding_size", 1664)) {}

 private:
  Value encode(const Scope& s, const Text& text) const override {
    const Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments, .width = entrance});
    const Scope encoder = s / "encoder";
    return bert.encode(encoder, linear(encoder / "embedding_hidden_mapping_in", x, {.out = bert.hidden}), text);
  }

  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.at = "cls.predictions",
                                   .head = {.names = {.norm = "LayerNorm", .bias = {"decoder.bias"}},
                                            .width = exit,
                                            .vocab = bert.vocab,
                                            .activation = bert.activation,
                                            .epsilon = bert.epsilon},
                                   .tied = false}};  // whatever the config says
  }

  const int64_t entrance, exit;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.rembert",
    .name = "RemBERT",
    .models = {{.types = {"rembert"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .make = make<RemBertOnnxConfig>}},
})

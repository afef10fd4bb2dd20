// SPDX-License-Identifier: Apache-2.0
// RemBERT: BERT whose embeddings are narrower at the entrance than at the exit, and not shared. Source: RemBertModel
// and its heads, transformers 4.57 (modeling_rembert.py).
#include <onnxport/families/bert_decoder.hpp>

using namespace onnxport::family;

namespace {

constexpr BertDefaults defaults{.vocab = 250300, .hidden = 1152, .layers = 32, .heads = 18, .inner = 4608};

/// The widths of words where they enter and where they leave.
struct Words {
  explicit Words(const Config& c)
      : entrance(c.size("input_embedding_size", 256)), exit(c.size("output_embedding_size", 1664)) {}
  Value embed(const Scope& s, const BertEncoder& bert, BertEncoder::Embedded in) const {
    in.width = entrance;
    const Value x = bert.embed(s / "embeddings", in);
    return linear(s / "encoder.embedding_hidden_mapping_in", x, {.out = bert.hidden});
  }
  WordsHead head(const BertEncoder& bert) const {
    return {.at = "cls.predictions",
            .head = {.names = {.norm = "LayerNorm", .bias = {"decoder.bias"}},
                     .width = exit,
                     .vocab = bert.vocab,
                     .activation = bert.activation,
                     .epsilon = bert.epsilon},
            .tied = false};  // whatever the config says
  }
  const int64_t entrance, exit;
};

class RemBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit RemBertOnnxConfig(const Request& request)
      : BertTextEncoder(request, "rembert", defaults), words(request.config) {}

 private:
  Value encode(const Scope& s, const Text& text) const override {
    return bert.encode(s / "encoder", words.embed(s, bert, {.ids = text.ids, .segments = text.segments}), text);
  }
  TextHeads text_heads() const override { return {.masked_lm = words.head(bert)}; }

  const Words words;
};

class RemBertDecoder final : public BertDecoder {
 public:
  explicit RemBertDecoder(const Request& request) : BertDecoder(request, "rembert", defaults), words_(request.config) {}

 private:
  WordsHead words() const override { return words_.head(bert); }
  Value embedded(const Scope& s, const BertEncoder::Embedded& in) const override { return words_.embed(s, bert, in); }

  const Words words_;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.rembert",
    .name = "RemBERT",
    .models = {{.types = {"rembert"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "token-classification", "multiple-choice", "question-answering"},
                .make = make_encoder_or_decoder<RemBertOnnxConfig, RemBertDecoder>}},
})

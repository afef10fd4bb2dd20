// SPDX-License-Identifier: Apache-2.0
// BertGeneration: BERT without segments and pooler, as the encoder and as the decoder of a model of two sides.
// Source: BertGenerationEncoder and BertGenerationDecoder, transformers 4.57 and 5.24.
#include <onnxport/families/bert_decoder.hpp>

using namespace onnxport::family;

namespace {

// Scores by distance, which version 4 read the field for, no layer of the class has: it asks for absolute positions.
constexpr BertDefaults defaults{
    .vocab = 50358, .hidden = 1024, .layers = 24, .heads = 16, .inner = 4096, .relative = false};

Value placed_words(const Scope& s, const BertEncoder& bert, const BertEncoder::Embedded& in) {
  const Scope positions = s / "position_embeddings";
  const EmbeddingOptions table{bert.max_positions, bert.hidden};
  const Value places = in.positions
                           ? embedding(positions, in.positions, table)
                           : first_rows(positions.weight("weight", {table.count, table.width}), size_of(in.ids, 1));
  const Value words = embedding(s / "word_embeddings", in.ids, {bert.vocab, bert.hidden});
  return norm(s / "LayerNorm", (words + places).in(s), {.epsilon = bert.epsilon});
}

/// Every position's scores of the words, without a layer before them.
Value words_of(const BertEncoder& bert, const Encoded& at) {
  const Scope s = at.base.graph().root() / "lm_head", words = s / "decoder";
  const bool tied = bert.tied.holds_for(words);
  if (tied) s.graph().unused((words / "weight").path());
  const Scope table = tied ? at.base / "embeddings.word_embeddings" : words;
  const Value bias = words_bias(s, {.width = bert.hidden, .vocab = bert.vocab});
  return words.composite("Linear", {at.hidden, table.weight("weight", {bert.vocab, bert.hidden}), bias}).in(s);
}
/// Where the words' table may have been kept.
WordsHead head_of(const BertEncoder& bert) {
  return {.at = "lm_head", .head = {.width = bert.hidden, .vocab = bert.vocab}, .tied = bert.tied};
}

class GenerationOnnxConfig final : public TextEncoder {
 public:
  explicit GenerationOnnxConfig(const Request& request) : TextEncoder(request), bert(request.config, defaults) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "bert", .vocab = bert.vocab, .pooler = false, .max_positions = bert.max_positions};
  }
  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words_of(bert, at); }};
  }
  Value encode(const Scope& s, const Text& text) const override {
    if (task() != "default") either_table_kept(head_of(bert), s);
    return bert.encode(s / "encoder", placed_words(s / "embeddings", bert, {.ids = text.ids}), text);
  }

  const BertEncoder bert;
};

class GenerationDecoder final : public BertDecoder {
 public:
  explicit GenerationDecoder(const Request& request) : BertDecoder(request, "bert", defaults) {}

  Heads heads() const override {
    return {head::logits("causal-lm", [this](const Encoded& at) { return words_of(bert, at); })};
  }

 private:
  Value embedded(const Scope& s, const BertEncoder::Embedded& in) const override {
    return placed_words(s / "embeddings", bert, in);
  }
  WordsHead words() const override { return head_of(bert); }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bert-generation",
    .name = "BertGeneration",
    .models = {{.types = {"bert-generation"},
                .features = {"default", "causal-lm", "causal-lm-with-past"},
                .architectures = {{"BertGenerationEncoder", "default"}, {"BertGenerationDecoder", "causal-lm"}},
                .make = make_encoder_or_decoder<GenerationOnnxConfig, GenerationDecoder>}},
})

// SPDX-License-Identifier: Apache-2.0
// ELECTRA. Source: ElectraModel and its heads, transformers 4.30 (modeling_electra.py); SequenceSummary of
// modeling_utils.py.
#include <onnxport/families/bert_decoder.hpp>
#include <onnxport/sequence_summary.hpp>

using namespace onnxport::family;

namespace {

constexpr BertDefaults defaults{.hidden = 256, .heads = 4, .inner = 1024};

/// BERT's embeddings in a width of their own.
struct Embeddings {
  explicit Embeddings(const Config& c) : width(c.size("embedding_size", 128)) {
    c.no_effect({"generator_size"});  // of pre-training: how much smaller the other model is
  }
  Value operator()(const Scope& s, const BertEncoder& bert, BertEncoder::Embedded in) const {
    in.width = width;
    const Value x = bert.embed(s / "embeddings", in);
    if (width != bert.hidden) return linear(s / "embeddings_project", x, {.out = bert.hidden});
    s.graph().unused((s / "embeddings_project.*").path());  // of the first releases; nobody reads it
    return x;
  }
  WordsHead words(const BertEncoder& bert) const {
    return {.head = {.names = {.dense = "generator_predictions.dense",
                               .norm = "generator_predictions.LayerNorm",
                               .decoder = "generator_lm_head",
                               .bias = {"generator_lm_head.bias"}},
                     .width = width,
                     .vocab = bert.vocab,
                     .epsilon = bert.epsilon},
            .tied = bert.tied};
  }
  const int64_t width;
};

class ElectraOnnxConfig final : public TextEncoder {
 public:
  explicit ElectraOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, defaults),
        embeddings(request.config),
        summary(request.config, {.type = "first", .to_labels = false, .activation = "gelu"}) {
    if (task() == "multiple-choice") summary.require_vectors(labels(), bert.hidden);
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "electra",
            .vocab = bert.vocab,
            .segments = bert.segments,
            .pooler = false,
            .max_positions = bert.max_positions};
  }

  Value encode(const Scope& s, const Text& text) const override {
    return bert.encode(s / "encoder", embeddings(s, bert, {.ids = text.ids, .segments = text.segments}), text);
  }

  TextHeads text_heads() const override {
    return {.masked_lm = embeddings.words(bert),
            .summary =
                [this](const Encoded& at) {
                  return summary(at.base.graph().root() / "sequence_summary", at.hidden, {.width = bert.hidden});
                },
            .classes = [this](const Encoded& at) { return classify(at.base.graph().root(), at.hidden); },
            .replaced = [this](const Encoded& at) { return is_replaced(at); }};
  }

  // Whether each token is the generator's: a score below or above 0.
  Value is_replaced(const Encoded& at) const {
    const Scope head = at.base.graph().root() / "discriminator_predictions";
    const Value x = activation(linear(head / "dense", at.hidden, {.out = bert.hidden}), bert.activation);
    return squeeze(linear(head / "dense_prediction", x, {.out = 1}), {-1});
  }

  // The first token through a layer of the head's own; gelu, whatever the config says.
  Value classify(const Scope& root, const Value& hidden) const {
    const Scope head = root / "classifier";
    const Value x = activation(linear(head / "dense", pick(hidden, 1, 0), {.out = bert.hidden}), "gelu");
    return linear(head / "out_proj", x, {.out = labels()});
  }

  const BertEncoder bert;
  const Embeddings embeddings;
  const SequenceSummary summary;
};

class ElectraDecoder final : public BertDecoder {
 public:
  explicit ElectraDecoder(const Request& request)
      : BertDecoder(request, "electra", defaults), embeddings(request.config) {}

 private:
  WordsHead words() const override { return embeddings.words(bert); }
  Value embedded(const Scope& s, const BertEncoder::Embedded& in) const override { return embeddings(s, bert, in); }

  const Embeddings embeddings;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.electra",
    .name = "ELECTRA",
    .models = {{.types = {"electra"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "multiple-choice", "token-classification", "question-answering", "pretraining"},
                .architectures = {{"ElectraForPreTraining", "pretraining"}},
                .make = make_encoder_or_decoder<ElectraOnnxConfig, ElectraDecoder>}},
})

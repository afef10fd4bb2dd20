// SPDX-License-Identifier: Apache-2.0
// ELECTRA. Source: ElectraModel and its heads, transformers 4.30 (modeling_electra.py); SequenceSummary of
// modeling_utils.py.
#include <onnxport/families/bert.hpp>
#include <onnxport/sequence_summary.hpp>

using namespace onnxport::family;

namespace {

class ElectraOnnxConfig final : public TextEncoder {
 public:
  explicit ElectraOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.hidden = 256, .heads = 4, .inner = 1024}),
        width(request.config.size("embedding_size", 128)),
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

  // BERT over embeddings of a width of their own.
  Value encode(const Scope& s, const Text& text) const override {
    Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments, .width = width});
    if (width != bert.hidden) x = linear(s / "embeddings_project", x, {.out = bert.hidden});
    return bert.encode(s / "encoder", x, text);
  }

  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.head = {.names = {.dense = "generator_predictions.dense",
                                                      .norm = "generator_predictions.LayerNorm",
                                                      .decoder = "generator_lm_head",
                                                      .bias = {"generator_lm_head.bias"}},
                                            .width = width,
                                            .vocab = bert.vocab,
                                            .epsilon = bert.epsilon},
                                   .tied = bert.tied},
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
  const int64_t width;
  const SequenceSummary summary;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.electra",
    .name = "ELECTRA",
    .models = {{.types = {"electra"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering", "pretraining"},
                .architectures = {{"ElectraForPreTraining", "pretraining"}},
                .make = make<ElectraOnnxConfig>}},
})

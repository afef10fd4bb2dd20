// SPDX-License-Identifier: Apache-2.0
// RoFormer: BERT whose queries and keys are turned by their positions. Source: RoFormerModel and its heads,
// transformers 4.57 (modeling_roformer.py).
#include <onnxport/families/bert.hpp>
#include <onnxport/rotary.hpp>
#include <onnxport/sequence_summary.hpp>

using namespace onnxport::family;

namespace {

class RoFormerOnnxConfig final : public TextEncoder {
 public:
  explicit RoFormerOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.vocab = 50000, .relative = false}),
        width(request.config.size("embedding_size", bert.hidden)),
        turns_values(request.config.boolean("rotary_value", false)),
        rotary(request.config.none(), bert.hidden / bert.heads),
        summary(request.config, {.type = "last", .projected = false, .to_labels = false}) {
    if (task() == "multiple-choice") summary.require_vectors(labels(), bert.hidden);
    request.config.no_effect({"max_position_embeddings", "summary_first_dropout", "summary_last_dropout"});
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "roformer", .vocab = bert.vocab, .segments = bert.segments, .pooler = false};
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    // The table of sines is computed, for as many places as the text has.
    g.unused((s / "encoder.embed_positions.weight").path());
    g.unused("*.crossattention.*");  // without an encoder they have nothing to attend to
    Value x =
        bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments, .width = width, .placed = false});
    if (width != bert.hidden)
      x = linear(s / "embeddings_project", x, {.out = bert.hidden});
    else
      g.unused((s / "embeddings_project.*").path());  // of the first releases; nobody reads it
    const Scope encoder = s / "encoder";
    const Value places = unsqueeze(range(size_of(text.ids, 1)), {0}).in(encoder / "embed_positions");
    x = transformer_layers(encoder / "layer", x, {bert.layers, [this](int64_t) { return layer(); }},
                           {.mask = text.mask, .angles = rotary.angles(places)});
    return g.mark("hidden_states." + std::to_string(bert.layers), x);
  }

  TransformerLayer layer() const {
    TransformerLayer form = bert.layer();
    form.attention.interleaved = true;
    form.attention.turns_values = turns_values;
    return form;
  }

  TextHeads text_heads() const override {
    WordsHead words = bert.words();
    words.head.width = width;
    return {.masked_lm = words,
            .summary =
                [this](const Encoded& at) {
                  return summary(at.base.graph().root() / "sequence_summary", at.hidden, {.width = bert.hidden});
                },
            .classes =
                [this](const Encoded& at) {
                  return text_classifier(at.base.graph().root() / "classifier", pick(at.hidden, 1, 0),
                                         {.width = bert.hidden, .labels = labels(), .activation = bert.activation});
                }};
  }

  const BertEncoder bert;
  const int64_t width;
  const bool turns_values;
  const Rotary rotary;
  const SequenceSummary summary;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.roformer",
    .name = "RoFormer",
    .models = {{.types = {"roformer"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<RoFormerOnnxConfig>}},
})

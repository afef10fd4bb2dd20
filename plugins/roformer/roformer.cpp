// SPDX-License-Identifier: Apache-2.0
// RoFormer: BERT whose queries and keys are turned by their positions. Source: RoFormerModel and its heads,
// transformers 4.57 (modeling_roformer.py).
#include <onnxport/families/bert_decoder.hpp>
#include <onnxport/rotary.hpp>
#include <onnxport/sequence_summary.hpp>

using namespace onnxport::family;

namespace {

constexpr BertDefaults defaults{.vocab = 50000, .relative = false};

/// What both readings of a text share: embeddings in a width of their own, and layers that turn what they compare.
struct RoFormer {
  explicit RoFormer(const Config& c, const BertEncoder& of)
      : bert(of),
        width(c.size("embedding_size", bert.hidden)),
        turns_values(c.boolean("rotary_value", false)),
        rotary(c.none(), bert.hidden / bert.heads) {
    c.no_effect({"max_position_embeddings"});
  }

  Value embed(const Scope& s, BertEncoder::Embedded in) const {
    in.width = width;
    in.placed = false;
    const Value x = bert.embed(s / "embeddings", in);
    if (width != bert.hidden) return linear(s / "embeddings_project", x, {.out = bert.hidden});
    s.graph().unused((s / "embeddings_project.*").path());  // of the first releases; nobody reads it
    return x;
  }
  /// places: i64[sequence]
  Angles angles(const Scope& encoder, const Value& places) const {
    // The table of sines is computed, for as many places as the text has.
    encoder.graph().unused((encoder / "embed_positions.weight").path());
    return rotary.angles(unsqueeze(places, {0}).in(encoder / "embed_positions"));
  }
  TransformerLayer turning(TransformerLayer form) const {
    form.attention.interleaved = true;
    form.attention.turns_values = turns_values;
    return form;
  }
  WordsHead words() const {
    WordsHead words = bert.words();
    words.head.width = width;
    return words;
  }

  const BertEncoder& bert;
  const int64_t width;
  const bool turns_values;
  const Rotary rotary;
};

class RoFormerOnnxConfig final : public TextEncoder {
 public:
  explicit RoFormerOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, defaults),
        roformer(request.config, bert),
        summary(request.config, {.type = "last", .projected = false, .to_labels = false}) {
    if (task() == "multiple-choice") summary.require_vectors(labels(), bert.hidden);
    request.config.no_effect({"summary_first_dropout", "summary_last_dropout"});
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "roformer", .vocab = bert.vocab, .segments = bert.segments, .pooler = false};
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    g.unused("*.crossattention.*");  // without an encoder they have nothing to attend to
    const Scope encoder = s / "encoder";
    const Value x = roformer.embed(s, {.ids = text.ids, .segments = text.segments});
    const Angles angles = roformer.angles(encoder, range(size_of(text.ids, 1)));
    const TransformerLayer form = roformer.turning(bert.layer());
    return g.mark("hidden_states." + std::to_string(bert.layers),
                  transformer_layers(encoder / "layer", x, {bert.layers, [&](int64_t) { return form; }},
                                     {.mask = text.mask, .angles = angles}));
  }

  TextHeads text_heads() const override {
    return {.masked_lm = roformer.words(),
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
  const RoFormer roformer;
  const SequenceSummary summary;
};

/// Looking back, with a past or over an encoder, whose result is compared without being turned.
class RoFormerDecoder final : public BertDecoder {
 public:
  explicit RoFormerDecoder(const Request& request)
      : BertDecoder(request, "roformer", defaults), roformer(request.config, bert) {}

  // Counted from the past's end, whatever a mask says.
  Positions positions_in_generation() const override { return Positions::sequence; }

 private:
  TextDecoderTraits traits() const override {
    TextDecoderTraits t = BertDecoder::traits();
    t.max_positions = 0;
    return t;
  }
  WordsHead words() const override { return roformer.words(); }
  Value embedded(const Scope& s, const BertEncoder::Embedded& in) const override {
    return roformer.embed(s, {.ids = in.ids});
  }
  TransformerLayer layer() const override { return roformer.turning(bert.layer()); }
  Value encode(const Scope& s, const Value& x, const BertEncoder::Layers& how) const override {
    const Value past = how.given.cache->past_length(), places = range(size_of(x, 1));
    BertEncoder::Layers turned = how;
    turned.given.angles = roformer.angles(s / "encoder", past ? places + past : places);
    return BertDecoder::encode(s, x, turned);
  }

  const RoFormer roformer;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.roformer",
    .name = "RoFormer",
    .models = {{.types = {"roformer"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "multiple-choice", "token-classification", "question-answering"},
                .make = make_encoder_or_decoder<RoFormerOnnxConfig, RoFormerDecoder>}},
})

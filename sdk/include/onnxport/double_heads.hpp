// SPDX-License-Identifier: Apache-2.0
// Text decoders with a head that chooses among texts beside the one of words: GPT's and GPT-2's.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/sequence_summary.hpp>
#include <onnxport/text_decoder.hpp>

namespace onnxport::sdk {

/// A TextDecoder with the feature double-heads as well. Every choice is a text of its own: input_ids and attention_mask
/// are i64[batch, choice, sequence], mc_token_ids i64[batch, choice] is the token at which each is read; mc_logits are
/// f32[batch, choice]. Source: GPT2DoubleHeadsModel and OpenAIGPTDoubleHeadsModel, transformers 4.57.
class DoubleHeadsDecoder : public TextDecoder {
 public:
  using TextDecoder::TextDecoder;

  std::vector<TensorSpec> inputs() const override {
    if (task() != double_heads) return TextDecoder::inputs();
    const std::vector<Dim> choices{axis::batch, axis::choice}, tokens{axis::batch, axis::choice, axis::sequence};
    return {input::ids("input_ids", tokens, traits().vocab),
            input::mask("attention_mask", tokens, {.of = "input_ids"}),
            {.name = "mc_token_ids", .shape = choices}};
  }

  // The places that the second head reads lie within the text.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& asked) const override {
    if (task() != double_heads) return {};
    const int64_t batch = asked.sizes.at(axis::batch), choices = asked.sizes.at(axis::choice);
    std::vector<int64_t> places;
    for (int64_t i = 0; i < batch * choices; ++i) places.push_back(i % asked.sizes.at(axis::sequence));
    return {DummyTensor::of("mc_token_ids", DType::i64, {batch, choices}, places)};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != double_heads) return TextDecoder::forward(g, in);
    Inputs texts = in;
    for (const char* name : {"input_ids", "attention_mask"}) texts[name] = flatten_choices(in.at(name));
    return TextDecoder::forward(g, texts);
  }

  Heads heads() const override {
    Heads rows = TextDecoder::heads();
    rows.push_back({double_heads, [this](const Encoded& at) -> Outputs {
                      const Value words = scores_of_words(traits(), at), places = at.in.at("mc_token_ids");
                      const Value shape = concat({shape_of(places, 0, 2), shape_of(words, 1, 3)}, 0);
                      return {{"logits", reshape(words, shape)}, {"mc_logits", choice_scores(at, places)}};
                    }});
    return rows;
  }

 protected:
  /// How the second head makes one vector of a text.
  virtual const SequenceSummary& summary() const = 0;

  /// Throws UNSUPPORTED where summary() does not score choices: the originals take any other type along the choices,
  /// which are none of its axes. To be called by the constructor, once summary() is there.
  void check_double_heads() const {
    if (task() == double_heads && !(summary().type() == "cls_index" && summary().is_projected_to_labels())) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'summary_type' is \"" + summary().type() +
                                            "\"; double-heads scores choices with \"cls_index\", and "
                                            "'summary_use_proj' and 'summary_proj_to_labels' true");
    }
  }

 private:
  static constexpr const char* double_heads = "double-heads";

  // places: i64[batch, choice] -> f32[batch, choice]
  Value choice_scores(const Encoded& at, const Value& places) const {
    const Scope head = at.base.graph().root() / "multiple_choice_head";
    const Value scores =
        summary()(head, at.hidden, {.width = at.hidden.fixed(-1), .labels = 1, .place = reshape(places, {-1, 1})});
    return unflatten_choices(scores, places);
  }
};

}  // namespace onnxport::sdk

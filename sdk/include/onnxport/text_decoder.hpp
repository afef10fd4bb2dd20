// SPDX-License-Identifier: Apache-2.0
// Text decoders: the inputs and heads that GPT-2 brought and its successors kept.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <optional>
#include <string>

#include <onnxport/heads.hpp>
#include <onnxport/with_past.hpp>

namespace onnxport::sdk {

/// What tells one text decoder from another at its rim. Layers are named below the root; an empty name is a head that
/// the reference has not for the type.
struct TextDecoderTraits {
  std::string base = "model";              ///< the base model's name within the models with a head
  int64_t vocab;                           ///< ids are below this
  int64_t max_positions = 0;               ///< and positions below this; 0: without a bound
  std::string embedding = "embed_tokens";  ///< of the words, below the base; a tied head takes its table
  Tie tied = false;
  std::string words = "lm_head";
  std::string words_also{};  ///< another name under which releases save the layer of words
  bool words_bias = false;
  double words_scale = 1;    ///< of the words' scores
  double words_softcap = 0;  ///< of the words' scores; 0: none
  int64_t labels = 2;
  std::optional<int64_t> pad{};   ///< by which a text's last token is found
  std::string classes = "score";  ///< of a text, read at its last token
  bool classes_bias = false;
  std::string token_classes = "score";
  std::string span{};
  int64_t hidden = 0;         ///< width of the embeddings, where others may give them in place of ids; 0: they may not
  int64_t encoder_width = 0;  ///< of the encoder that its layers attend to; 0: they attend to none
};

/// A decoder with the features of GPT-2 and Llama: default and causal-lm, each with a past, sequence-classification,
/// token-classification, question-answering. A model says how it decodes.
class TextDecoder : public OnnxConfigWithPast {
 public:
  using OnnxConfigWithPast::OnnxConfigWithPast;

  std::string base_model_prefix() const override { return traits().base; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return traits().max_positions; }
  std::vector<TensorSpec> inputs() const override {
    const TextDecoderTraits t = traits();
    return text_inputs(t.vocab, t.max_positions);
  }

  /// With those of the layers over an encoder, where they attend to one.
  std::vector<State> states() const override {
    if (traits().encoder_width == 0) return OnnxConfigWithPast::states();
    return states_over_encoder({axis::past, axis::past_and_sequence});
  }

  /// embed_tokens: input_ids -> inputs_embeds, as the layers read them.
  /// decoder: the model with a head, of input_ids or of inputs_embeds; where its layers attend to an encoder as well,
  /// with encoder_hidden_states and encoder_attention_mask.
  std::vector<Part> offers() const override {
    const TextDecoderTraits t = traits();
    std::vector<Part> parts;
    if (t.hidden > 0) {
      const auto embeds = [this](Graph& g, const Inputs& in) -> Outputs {
        return {{inputs_embeds, embed(base_of(g), in.at("input_ids"))}};
      };
      parts.push_back({"embed_tokens",
                       {input::ids("input_ids", {axis::batch, axis::sequence}, t.vocab)},
                       {{inputs_embeds, {{0, axis::batch}, {1, axis::sequence}}}},
                       embeds});
    }
    if (t.hidden == 0 && t.encoder_width == 0) return parts;
    Part decoder = offered_decoder(t.encoder_width);
    if (t.hidden > 0)
      decoder.inputs.push_back(input::embeddings(inputs_embeds, {axis::batch, axis::sequence, t.hidden}));
    parts.push_back(std::move(decoder));
    return parts;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const TextDecoderTraits t = traits();
    const Scope base = base_of(g);
    if (t.tied && !t.words.empty()) g.stand_in(base / t.embedding, g.root() / t.words);
    Cache cache = cache_of(in);
    const Value hidden = decode(base, in, cache);
    return with_present(head_for_feature().outputs({base, hidden, in}), cache);
  }

  Heads heads() const override {
    const TextDecoderTraits t = traits();
    Heads rows{head::hidden_states()};
    if (!t.words.empty())
      rows.push_back(head::logits("causal-lm", [t](const Encoded& at) { return scores_of_words(t, at); }));
    if (!t.classes.empty()) {
      rows.push_back(head::logits("sequence-classification", [t](const Encoded& at) {
        return linear(at.base.graph().root() / t.classes, last_token(at.hidden, at.in.at("input_ids"), t.pad),
                      {.out = t.labels, .bias = t.classes_bias});
      }));
    }
    if (!t.token_classes.empty()) rows.push_back(head::token_classes(t.token_classes, {.out = t.labels}));
    if (!t.span.empty()) rows.push_back(head::answer_span(t.span));
    return rows;
  }

 protected:
  /// Where the base model's weights are.
  virtual Scope base_of(Graph& g) const { return task() == "default" ? g.root() : g.root() / traits().base; }

  /// What the layers read of tokens: i64[batch, sequence] -> f[batch, sequence, hidden]. For models whose traits state
  /// `hidden`; their decode() starts from start().
  virtual Value embed(const Scope& base, const Value&) const {
    throw Error(ONNXPORT_UNSUPPORTED,
                "the model type '" + model_type() + "' takes no embeddings in place of ids: its definition has no " +
                    "embed(), which tells what its layers read of tokens",
                base.path());
  }
  /// The embeddings that were given, else those of input_ids.
  Value start(const Scope& base, const Inputs& in) const {
    if (const Value given = in.maybe(inputs_embeds)) return given.in(base);
    return embed(base, in.at("input_ids"));
  }

  /// Throws UNSUPPORTED where a past is asked for and tokens see those behind them, as `said` by config.json: what a
  /// token has come to depends on these, so that nothing of it can be kept.
  void require_looking_back(bool looks_back, const std::string& said) const {
    if (looks_back || !use_past()) return;
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field " + said +
                    ": what a token has come to depends on those behind it, so that nothing of it can be kept; export "
                    "the feature " +
                    task());
  }
  virtual TextDecoderTraits traits() const = 0;
  /// f[batch, sequence, hidden]. Attends through `cache`; marks hidden_states.{i} and attentions.{i} on its way.
  virtual Value decode(const Scope& base, const Inputs& in, Cache& cache) const = 0;

  /// Every position's scores of the words: f[batch, sequence, vocab].
  static Value scores_of_words(const TextDecoderTraits& t, const Encoded& at) {
    const Scope root = at.base.graph().root();
    const Scope words =
        t.words_also.empty() ? root / t.words : first_with("weight", {root / t.words, root / t.words_also});
    const TiedLinear layer{words, at.base / t.embedding, t.tied};
    Value scores = linear(layer, at.hidden, {.out = t.vocab, .bias = t.words_bias});
    if (t.words_scale != 1) scores = scores * t.words_scale;
    if (t.words_softcap != 0) scores = tanh(scores / t.words_softcap) * t.words_softcap;
    return scores;
  }
};

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Text decoders: the inputs and heads that GPT-2 brought and its successors kept.
#pragma once

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

  Outputs forward(Graph& g, const Inputs& in) const override {
    const TextDecoderTraits t = traits();
    const Scope base = task() == "default" ? g.root() : g.root() / t.base;
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

// SPDX-License-Identifier: Apache-2.0
// What RoBERTa shares with the models that kept its heads and count positions as it does.
// Source: RobertaModel and its heads, transformers 4.30 (modeling_roberta.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/families/bert.hpp>

namespace onnxport::family {

/// RoBERTa's heads: of words, and of a text's class, which is read at its first token, <s>, through a layer of the
/// head's own.
struct RobertaHeads {
  int64_t hidden, vocab;
  double epsilon;
  Tie tied;
  int64_t labels;
  bool own_bias = true;  ///< of two biases of the words that in the layer counts

  TextHeads rows() const {
    return {.masked_lm = WordsHead{.at = "lm_head",
                                   .head = {.width = hidden, .vocab = vocab, .epsilon = epsilon, .own_bias = own_bias},
                                   .tied = tied},
            .classes = [width = hidden, classes = labels](const Encoded& at) {
              const Scope head = at.base.graph().root() / "classifier";
              return text_classifier(head, pick(at.hidden, 1, 0), width, classes);
            }};
  }
};

/// RoBERTa with its heads, from which a model departs by what it overrides.
class RobertaTextEncoder : public TextEncoder {
 public:
  /// What tells one relative from another beside its defaults.
  struct Traits {
    std::string base;     ///< the base model's name within the models with a head
    int64_t padding = 1;  ///< the default of pad_token_id
  };
  RobertaTextEncoder(const Request& request, Traits traits, const BertDefaults& defaults = {})
      : TextEncoder(request),
        bert(request.config, defaults),
        padding(request.config.integer("pad_token_id", traits.padding)),
        base_(std::move(traits.base)) {}

 protected:
  TextEncoderTraits traits() const override {
    return {.base = base_, .vocab = bert.vocab, .max_positions = bert.max_positions - 1 - padding};
  }

  /// BERT without segments.
  Value encode(const Scope& s, const Text& text) const override {
    return bert.encode(s / "encoder", bert.embed(s / "embeddings", embedded(text)), text);
  }
  /// Positions count the tokens that are not padding.
  BertEncoder::Embedded embedded(const Text& text) const {
    return {.ids = text.ids, .positions = positions_past_padding(text.ids, padding)};
  }

  Value pool(const Scope& s, const Value& hidden) const override { return bert.pool(s / "pooler", hidden); }

  TextHeads text_heads() const override {
    return RobertaHeads{bert.hidden, bert.vocab, bert.epsilon, bert.tied, labels()}.rows();
  }

  const BertEncoder bert;
  const int64_t padding;

 private:
  std::string base_;
};

}  // namespace onnxport::family

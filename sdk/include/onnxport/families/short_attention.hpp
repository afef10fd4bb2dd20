// SPDX-License-Identifier: Apache-2.0
// What Nystromformer and YOSO share: BERT without a pooler, whose positions begin at the table's third row, with an
// attention of a cheaper kind and, where the config has it, a convolution over the values beside it.
// Source: NystromformerModel and YosoModel, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/convolutions.hpp>
#include <onnxport/families/bert.hpp>

namespace onnxport::family {

class ShortAttentionTextEncoder : public BertTextEncoder {
 public:
  using BertTextEncoder::BertTextEncoder;

 protected:
  /// queries, keys and values with their heads apart, f[batch, heads, n, d] -> the same.
  virtual Value attend(const Scope& s, const QueryKeyValue& made, const Attended& given) const = 0;
  /// How many places the convolution reads, an odd number; 0: there is none.
  virtual int64_t window() const = 0;
  /// What the convolution reads of the values: f[batch, heads, n, d] -> the same.
  virtual Value convolved(const Value& values, const Value& /*mask*/) const { return values; }

  int64_t head_size() const { return bert.hidden / bert.heads; }

  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.pooler = false;
    return t;
  }

  Value embed(const Scope& s, const Text& text) const override {
    return bert.embed(s, {.ids = text.ids, .segments = text.segments, .first = 2});
  }

  Value encode(const Scope& s, const Text& text) const override {
    TransformerLayer layer = bert.layer();
    layer.own_attention = [this](const Scope& module, const Value& x, const Attended& given) {
      return linear(module / "output.dense", attend_all(module, x, given), {.out = bert.hidden});
    };
    return bert.encode(s / "encoder", embed(s / "embeddings", text), {layer, {.mask = text.mask}});
  }

  /// A text's class and a choice are read at its first token, each through a layer of the head's own.
  TextHeads text_heads() const override {
    const auto first = [this](const Scope& layer, const Encoded& at) {
      return linear(layer, pick(at.hidden, 1, 0), {.out = bert.hidden});
    };
    return {
        .masked_lm = bert.words(),
        .summary = [first](const Encoded& at) { return relu(first(at.base.graph().root() / "pre_classifier", at)); },
        .classes =
            [this, first](const Encoded& at) {
              const Scope head = at.base.graph().root() / "classifier";
              const Value x = activation(first(head / "dense", at), bert.activation);
              return linear(head / "out_proj", x, {.out = labels()});
            }};
  }

 private:
  Value attend_all(const Scope& s, const Value& x, const Attended& given) const {
    const Scope self = s / "self";
    const QueryKeyValue all = project(s, x, bert.layer().attention);
    const auto apart = [&](const Value& one) { return split_heads(one.in(self), bert.heads); };
    const QueryKeyValue made{apart(all.query), apart(all.key), apart(all.value)};
    Value mixed = attend(self, made, given);
    if (window() > 0) {
      if (window() % 2 == 0) {
        throw Error(ONNXPORT_CONFIG, "the convolution over the values reads " + std::to_string(window()) +
                                         " places, by config.json; expected an odd number, which has a middle");
      }
      mixed = mixed + conv2d(self / "conv", convolved(made.value, given.mask),
                             {.out = bert.heads,
                              .kernel = {window(), 1},
                              .padding = {window() / 2, 0},
                              .groups = bert.heads,
                              .bias = false});
    }
    return merge_heads(mixed);
  }
};

}  // namespace onnxport::family

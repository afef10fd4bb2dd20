// SPDX-License-Identifier: Apache-2.0
// Text encoders: the inputs and heads that BERT brought and its successors kept.
#pragma once

#include <string>
#include <vector>

#include <onnxport/heads.hpp>
#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// A batch of texts: i64[batch, sequence] each.
struct Text {
  Value ids, mask;
  Value segments{};  // token_type_ids; absent where the model is given none
};

/// What tells one text encoder from another at its rim.
struct TextEncoderTraits {
  std::string base;      // the base model's name within the models with a head: "bert"
  int64_t vocab;         // ids are below this
  int64_t segments = 0;  // token_type_ids are below this; 0: the model is given none
  bool pooler = true;    // whether the base model ends in a pooler
};

/// An encoder with the features of BERT: default, masked-lm, causal-lm, sequence-classification, token-classification,
/// multiple-choice, question-answering. A model says how it encodes, and those of its heads that differ. Every function
/// gets the scope of the base model (the root in the base model's own checkpoints) and, as `hidden`, what encode()
/// yielded: f32[batch, sequence, hidden].
class TextEncoder : public OnnxConfig {
 public:
  explicit TextEncoder(const Request& request) : OnnxConfig(request), labels_(request.config.num_labels()) {
    if (task() == "question-answering" && labels_ != 2) {
      throw Error(ONNXPORT_CONFIG, "config field 'num_labels' is " + std::to_string(labels_) +
                                       "; question-answering has 2, start and end");
    }
    if (request.config.entries("pruned_heads").value_or(0) > 0) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'pruned_heads' names heads that were taken out of single layers");
    }
  }

  std::string base_model_prefix() const override { return traits().base; }
  double atol_for_validation() const override { return 1e-4; }

  /// input_ids, attention_mask and, where the model has segments, token_type_ids. Source: BertOnnxConfig and
  /// RobertaOnnxConfig, transformers 4.30.
  std::vector<TensorSpec> inputs() const override {
    std::vector<Dim> shape{axis::batch, axis::sequence};
    if (task() == "multiple-choice") shape = {axis::batch, axis::choice, axis::sequence};
    const TextEncoderTraits t = traits();
    std::vector<TensorSpec> specs{input::ids("input_ids", shape, t.vocab),
                                  input::mask("attention_mask", shape, {.of = "input_ids"})};
    if (t.segments > 0)
      specs.push_back(input::token_types("token_type_ids", shape, {.of = "input_ids", .limit = t.segments}));
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const TextEncoderTraits t = traits();
    const bool choices = task() == "multiple-choice";
    const auto tokens = [&](const char* name) { return choices ? flatten_choices(in.at(name)) : in.at(name); };
    Text text{tokens("input_ids"), tokens("attention_mask")};
    if (t.segments > 0) text.segments = tokens("token_type_ids");

    g.unused("*embeddings.position_ids");
    const Scope base = task() == "default" ? g.root() : g.root() / t.base;
    const Value hidden = encode(base, text);
    if (t.pooler && g.wants("pooler_output")) g.mark("pooler_output", pool(base, hidden));

    if (task() == "default") return {{"last_hidden_state", hidden}};
    if (task() == "masked-lm" || task() == "causal-lm") return {{"logits", predict(base, hidden)}};
    if (task() == "sequence-classification") return {{"logits", classify(base, hidden)}};
    if (task() == "token-classification")
      return {{"logits", linear(g.root() / "classifier", hidden, {.out = labels()})}};
    if (choices) {
      const Value scores = linear(g.root() / "classifier", summarize(base, hidden), {.out = 1});
      return {{"logits", unflatten_choices(scores, in.at("input_ids"))}};
    }
    if (task() == "question-answering") {
      const Span span = span_logits(g.root() / "qa_outputs", hidden);
      return {{"start_logits", span.start}, {"end_logits", span.end}};
    }
    throw lacks("a head for");
  }

 protected:
  virtual TextEncoderTraits traits() const = 0;
  /// Marks hidden_states.{i} and attentions.{i} on its way.
  virtual Value encode(const Scope& base, const Text& text) const = 0;
  /// The base model's pooler_output: f32[batch, hidden].
  virtual Value pool(const Scope&, const Value&) const { throw lacks("a pooler for"); }
  /// One vector a text, which multiple-choice scores: f32[batch, hidden].
  virtual Value summarize(const Scope& base, const Value& hidden) const { return pool(base, hidden); }
  /// f32[batch, labels]
  virtual Value classify(const Scope& base, const Value& hidden) const {
    return linear(base.graph().root() / "classifier", summarize(base, hidden), {.out = labels()});
  }
  /// Every position's scores of the words: f32[batch, sequence, vocab].
  virtual Value predict(const Scope&, const Value&) const { throw lacks("a head for"); }

  int64_t labels() const { return labels_; }

 private:
  Error lacks(const std::string& what) const {
    return {ONNXPORT_UNSUPPORTED, "the model type '" + model_type() + "' has not " + what + " '" + feature() + "'"};
  }

  int64_t labels_;
};

}  // namespace onnxport::sdk

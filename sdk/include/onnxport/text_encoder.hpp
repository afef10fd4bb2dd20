// SPDX-License-Identifier: Apache-2.0
// Text encoders: the inputs and heads that BERT brought and its successors kept.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/heads.hpp>
#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// A batch of texts: i64[batch, sequence] each.
struct Text {
  Value ids;
  Value mask{};      // absent where the model is given none
  Value segments{};  // token_type_ids; absent where the model is given none
  Inputs further{};  // what TextEncoder::further_inputs() lists, by name: "bbox"; as part of another model perhaps none

  /// token_type_ids i64[batch, sequence] of a model that cannot do without; where it is given none, all are 0.
  Value segments_or_first() const { return segments ? segments : ids * 0; }
};

/// What tells one text encoder from another at its rim.
struct TextEncoderTraits {
  std::string base;           // the base model's name within the models with a head: "bert"
  int64_t vocab;              // ids are below this
  int64_t segments = 0;       // token_type_ids are below this; 0: the model is given none
  bool pooler = true;         // whether the base model ends in a pooler
  int64_t max_positions = 0;  // of the longest text; 0: without a bound
  bool masked = true;         // whether the model is given an attention_mask; without it every token counts
};

/// A masked-lm head: where it is, and whether the embedding's table scores the words.
struct WordsHead {
  std::string at{};  ///< below the root; empty: the root itself
  MaskedLmHeadOptions head;
  Tie tied = true;
  std::string table = "embeddings.word_embeddings";  ///< below the base model
};

/// Where a masked-lm head lies.
inline Scope scope_of(const WordsHead& words, Graph& g) {
  return words.at.empty() ? g.root() : g.root() / words.at;
}
/// Says, before the embedding is asked for, that a tied head's table may have been kept in its place.
inline void either_table_kept(const WordsHead& words, const Scope& base) {
  if (words.tied) base.graph().stand_in(base / words.table, scope_of(words, base.graph()) / words.head.names.decoder);
}
/// Every position's scores of the words: f[batch, sequence, vocab].
inline Value word_scores(const WordsHead& words, const Encoded& at) {
  MaskedLmHeadOptions head = words.head;
  const Scope scope = scope_of(words, at.base.graph());
  if (words.tied.holds_for(scope / head.names.decoder)) head.tied = at.base / words.table;
  return masked_lm_head(scope, at.hidden, head);
}

/// How two texts relate, of which the model was trained to tell: a layer of two classes that reads what the pooler
/// yields.
struct PairHead {
  std::string at = "cls.seq_relationship";         ///< below the root
  std::string scores = "seq_relationship_logits";  ///< the output beside the words' scores
};

/// The heads of a text encoder. A row of the table stands for each that is given; `classifier` and `span` are the
/// layers behind them.
struct TextHeads {
  /// Every position's scores of the words, f[batch, sequence, vocab]: masked-lm, and causal-lm. In BERT's form, or by a
  /// head of the model's own.
  std::optional<WordsHead> masked_lm{};
  std::function<Value(const Encoded&)> words{};
  /// One vector a text, f[batch, n]: multiple-choice scores it, and sequence-classification too, unless
  /// `classes` is given. Where it is not given, what the pooler yields.
  std::function<Value(const Encoded&)> summary{};
  /// Classes of a text by a head of the model's own: f[batch, labels].
  std::function<Value(const Encoded&)> classes{};
  /// What token-classification and question-answering read at every position, f[batch, sequence, n]; where it is not
  /// given, what the base model yields.
  std::function<Value(const Encoded&)> tokens{};
  std::string span = "qa_outputs";        ///< the layer of question-answering
  std::string classifier = "classifier";  ///< the layer behind `summary`, and of token-classification
  /// What the model was trained for beside words: next-sentence-prediction, and with the words pretraining.
  std::optional<PairHead> pair{};
  /// Which tokens were replaced, f[batch, sequence]: pretraining of a discriminator.
  std::function<Value(const Encoded&)> replaced{};
  /// Heads of another form, each in place of what stands above for its feature.
  Heads own{};
};

/// An encoder with the features of BERT: default, masked-lm, causal-lm, sequence-classification, token-classification,
/// multiple-choice, question-answering, pretraining, next-sentence-prediction. A model says how it encodes, and those
/// of its heads that differ.
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
  int64_t max_positions() const override { return traits().max_positions; }

  /// input_ids, attention_mask, where the model has segments token_type_ids, and further_inputs(). Source:
  /// BertOnnxConfig and RobertaOnnxConfig, transformers 4.30.
  std::vector<TensorSpec> inputs() const override {
    std::vector<Dim> shape{axis::batch, axis::sequence};
    if (task() == "multiple-choice") shape = {axis::batch, axis::choice, axis::sequence};
    const TextEncoderTraits t = traits();
    std::vector<TensorSpec> specs{input::ids("input_ids", shape, t.vocab)};
    if (t.masked) specs.push_back(input::mask("attention_mask", shape, {.of = "input_ids"}));
    if (t.segments > 0)
      specs.push_back(input::token_types("token_type_ids", shape, {.of = "input_ids", .limit = t.segments}));
    for (TensorSpec& spec : further_inputs(shape)) specs.push_back(std::move(spec));
    return specs;
  }

  /// Pretraining puts out what the class answers, by its names: all heads' scores.
  std::vector<OutputSpec> outputs() const override {
    if (task() != "pretraining") return OnnxConfig::outputs();
    const std::map<int, std::string> places{{0, axis::batch}, {1, axis::sequence}};
    const std::optional<PairHead> pair = text_heads().pair;
    if (!pair) return {{"logits", places}};
    return {{"prediction_logits", places}, {pair->scores, {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const TextEncoderTraits t = traits();
    const bool choices = task() == "multiple-choice";
    const auto tokens = [&](const char* name) { return choices ? flatten_choices(in.at(name)) : in.at(name); };
    Text text{tokens("input_ids")};
    if (t.masked) text.mask = tokens("attention_mask");
    // As part of another model it may be given none: all are of the first segment.
    if (t.segments > 0 && in.maybe("token_type_ids")) text.segments = tokens("token_type_ids");
    for (const TensorSpec& spec : further_inputs({axis::batch, axis::sequence})) {
      if (in.maybe(spec.name)) text.further.emplace(spec.name, tokens(spec.name.c_str()));
    }

    g.unused("*embeddings.position_ids");
    g.unused("*.crossattention.*");  // of a decoder; without another encoder they have nothing to attend to
    const Scope base = task() == "default" ? g.root() : g.root() / t.base;
    if (const std::optional<WordsHead> words = text_heads().masked_lm) either_table_kept(*words, base);
    const Encoding encoded = encode_all(base, text);
    const Encoded at{.base = base, .hidden = encoded.hidden, .in = in, .mask = text.mask, .pooled = encoded.pooled};
    if (t.pooler && g.wants("pooler_output")) g.mark("pooler_output", pool(at));

    return head_for_feature().outputs(at);
  }

  Heads heads() const final {
    TextHeads given = text_heads();
    if (given.masked_lm) given.words = [words = *given.masked_lm](const Encoded& at) { return word_scores(words, at); };
    if (!given.summary && traits().pooler) given.summary = [this](const Encoded& at) { return pool(at); };
    Heads rows = given.own;
    rows.push_back(head::hidden_states());
    for (const Head& row : {head::token_classes(given.classifier, {.out = labels()}), head::answer_span(given.span)})
      rows.push_back(given.tokens ? head::behind(given.tokens, row) : row);
    if (given.words) {
      rows.push_back(head::logits("masked-lm", given.words));
      rows.push_back(head::logits("causal-lm", given.words));
    }
    if (given.pair) {
      const auto related = [this, layer = given.pair->at](const Encoded& at) {
        return linear(at.base.graph().root() / layer, pool(at), {.out = 2});
      };
      rows.push_back(head::logits("next-sentence-prediction", related));
      if (given.words) {
        rows.push_back({"pretraining", [related, words = given.words, scores = given.pair->scores](const Encoded& at) {
                          return Outputs{{"prediction_logits", words(at)}, {scores, related(at)}};
                        }});
      }
    }
    if (given.replaced) rows.push_back(head::logits("pretraining", given.replaced));
    const auto scores = [summary = given.summary, layer = given.classifier](int64_t out) {
      return [summary, layer, out](const Encoded& at) {
        return linear(at.base.graph().root() / layer, summary(at), {.out = out});
      };
    };
    if (given.classes || given.summary)
      rows.push_back(head::logits("sequence-classification", given.classes ? given.classes : scores(labels())));
    if (given.summary) {
      rows.push_back(head::logits("multiple-choice", [score = scores(1)](const Encoded& at) {
        return unflatten_choices(score(at), at.in.at("input_ids"));
      }));
    }
    return rows;
  }

 protected:
  virtual TextEncoderTraits traits() const = 0;
  virtual TextHeads text_heads() const = 0;
  /// What the model is given for every token beside its id, mask and segment. `tokens` are the axes of the ids, before
  /// those of an input's own: i64[tokens…, 4] of a box; what is not one for each token keeps those before the sequence.
  /// encode() finds them in Text::further, each choice as a text.
  virtual std::vector<TensorSpec> further_inputs(const std::vector<Dim>& /*tokens*/) const { return {}; }
  /// f[batch, sequence, hidden]. Marks hidden_states.{i} and attentions.{i} on its way.
  virtual Value encode(const Scope& base, const Text& text) const = 0;
  /// What the base model yields, and what its pooler reads where that is another sequence.
  struct Encoding {
    Value hidden;    ///< f[batch, sequence, hidden]
    Value pooled{};  ///< f[batch, m, hidden]
  };
  /// The same where the pooler reads something else.
  virtual Encoding encode_all(const Scope& base, const Text& text) const { return {encode(base, text)}; }
  /// The base model's pooler_output: f[batch, hidden]; asked for where the traits have a pooler.
  virtual Value pool(const Scope& base, const Value&) const {
    throw Error(ONNXPORT_UNSUPPORTED, "the model type '" + model_type() + "' has no pooler", base.path());
  }

  int64_t labels() const { return labels_; }

 private:
  Value pool(const Encoded& at) const { return pool(at.base, at.pooled ? at.pooled : at.hidden); }

  int64_t labels_;
};

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Splinter: BERT without a pooler, whose answers are what fits a question's token best. Source: SplinterModel and its
// heads, transformers 4.57 (modeling_splinter.py).
#include <limits>

#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class SplinterOnnxConfig final : public BertTextEncoder {
 public:
  explicit SplinterOnnxConfig(const Request& request)
      : BertTextEncoder(request, "splinter"),
        question(request.config.integer("question_token_id", 104)),
        padding(request.config.integer("pad_token_id", 0)) {}

  std::vector<OutputSpec> outputs() const override {
    if (task() != "pretraining") return BertTextEncoder::outputs();
    const std::map<int, std::string> axes{{0, axis::batch}, {1, "questions"}, {2, axis::sequence}};
    return {{"start_logits", axes}, {"end_logits", axes}};
  }

 private:
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.pooler = false;
    return t;
  }

  TextHeads text_heads() const override {
    return {.own = {{"question-answering", [this](const Encoded& at) { return answer_first(at); }},
                    {"pretraining", [this](const Encoded& at) { return answer_all(at); }}}};
  }

  Value is_question(const Encoded& at) const { return cast(equal(at.in.at("input_ids"), question), DType::i64); }

  // The first question's token; the first of all where a text has none.
  Outputs answer_first(const Encoded& at) const {
    const Value first = at.base.graph().op("ArgMax", {is_question(at)}, {{"axis", 1}, {"keepdims", 1}});
    const Span span = answer(at, first);
    return {{"start_logits", squeeze(span.start, {1})}, {"end_logits", squeeze(span.end, {1})}};
  }

  // The tokens of all questions, as many as the text with the most of them has; a text that has fewer is asked at the
  // place with the padding's number, as the reference does it.
  Outputs answer_all(const Encoded& at) const {
    Graph& g = at.base.graph();
    const Value here = is_question(at), number = cumulative_sum(here, 1) * here;
    const Value most = largest(number, {0, 1});
    const Value wanted = unsqueeze(range(most) + g.integer(1), {1});  // i64[questions, 1]
    const Value is_it = cast(equal(unsqueeze(number, {1}), wanted), DType::i64);
    const Value place = g.op("ArgMax", {is_it}, {{"axis", 2}, {"keepdims", 0}});
    const Value exists = cast(largest(is_it, {2}), DType::boolean);
    const Span span = answer(at, where(exists, place, g.integer(padding)));
    return {{"start_logits", span.start}, {"end_logits", span.end}};
  }

  /// questions: i64[batch, q], places of tokens -> f[batch, q, n] each.
  Span answer(const Encoded& at, const Value& questions) const {
    const Scope s = at.base.graph().root() / "splinter_qass";
    const Value asked =
        at.base.graph().op("GatherND", {at.hidden.in(s), unsqueeze(questions, {2})}, {{"batch_dims", 1}});
    const auto scores = [&](const std::string& which) {
      const Value query = linear(s / (which + "_classifier"), transform(s / ("query_" + which + "_transform"), asked),
                                 {.out = bert.hidden, .bias = false});
      const Value key = transform(s / (which + "_transform"), at.hidden);
      return matmul(query, transpose(key, {0, 2, 1})) + unseen(at.mask);
    };
    return {scores("start"), scores("end")};
  }

  // Whatever the config says, by gelu, and with the default of a norm.
  Value transform(const Scope& s, const Value& x) const {
    return norm(s / "LayerNorm", activation(linear(s / "dense", x, {.out = bert.hidden}), "gelu"), {.epsilon = 1e-5})
        .in(s.parent());
  }

  // The lowest number at padding: i64[batch, n] -> f32[batch, 1, n].
  static Value unseen(const Value& mask) {
    const Value away = cast(mask.graph().integer(1) - mask, DType::f32);
    return unsqueeze(away * static_cast<double>(std::numeric_limits<float>::lowest()), {1});
  }

  const int64_t question, padding;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.splinter",
    .name = "Splinter",
    .models = {{.types = {"splinter"},
                .features = {"default", "question-answering", "pretraining"},
                .architectures = {{"SplinterForPreTraining", "pretraining"}},
                .make = make<SplinterOnnxConfig>}},
})

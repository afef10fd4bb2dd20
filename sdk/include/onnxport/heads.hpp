// SPDX-License-Identifier: Apache-2.0
// What text models end in: words, spans and choices.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// i64[batch, choice, ...] -> i64[batch·choice, ...]: every choice is a text of its own.
inline Value flatten_choices(const Operand& x) {
  if (x.rank() == 2) return reshape(x, std::vector<int64_t>{-1});
  return reshape(x, concat({x.graph().integers({-1}), shape_of(x, 2, static_cast<int64_t>(x.rank()))}, 0));
}
/// scores: f32[batch·choice, 1] -> f32[batch, choice], the axes of `choices`: [batch, choice, sequence].
inline Value unflatten_choices(const Operand& scores, const Value& choices) {
  return reshape(scores, shape_of(choices, 0, 2));
}

namespace head {

/// What the base model yields, as it is.
inline Head hidden_states() {
  return {"default", [](const Encoded& at) -> Outputs { return {{"last_hidden_state", at.hidden}}; }};
}
/// A head that puts out "logits".
inline Head logits(std::string feature, std::function<Value(const Encoded&)> scores) {
  return {std::move(feature), [scores = std::move(scores)](const Encoded& at) -> Outputs {
            return {{"logits", scores(at)}};
          }};
}

}  // namespace head

struct Span {
  Value start, end;  // f32[batch, sequence]
};
/// Where an answer starts and ends: hidden: f32[batch, sequence, n]. Weights: weight f[2, n], bias f[2].
/// Source: qa_outputs of the …ForQuestionAnswering classes, transformers 4.30.
inline Span span_logits(const Scope& scope, const Operand& hidden) {
  const Value logits = linear(scope, hidden, {.out = 2});
  const std::vector<Value> ends = split(logits, -1, {1, 1});
  return {squeeze(ends[0], {-1}), squeeze(ends[1], {-1})};
}

namespace head {

/// A head that reads what `transform` makes of the base model's result, f[batch, n, width].
inline Head behind(std::function<Value(const Encoded&)> transform, Head head) {
  return {head.feature, [transform = std::move(transform), outputs = head.outputs](const Encoded& at) {
            return outputs({at.base, transform(at), at.in, at.mask});
          }};
}
/// Classes of every token, by a layer of the root.
inline Head token_classes(std::string layer, const LinearOptions& options) {
  return logits("token-classification", [layer = std::move(layer), options](const Encoded& at) {
    return linear(at.base.graph().root() / layer, at.hidden, options);
  });
}
/// Where an answer starts and ends.
inline Head answer_span(std::string layer = "qa_outputs") {
  return {"question-answering", [layer = std::move(layer)](const Encoded& at) -> Outputs {
            const Span span = span_logits(at.base.graph().root() / layer, at.hidden);
            return {{"start_logits", span.start}, {"end_logits", span.end}};
          }};
}

}  // namespace head

/// The mean of the tokens that count: hidden: f[batch, n, width], mask: i64[batch, n], 1 where one counts
/// -> f[batch, width].
inline Value mean_of_tokens(const Operand& hidden, const Value& mask) {
  const Value counts = unsqueeze(cast(mask, hidden.dtype()), {2});
  return sum(hidden * counts, {1}) / sum(counts, {1});
}
/// The first token that counts, which is not the first of all where texts are padded on the left: hidden:
/// f[batch, n, width], mask: i64[batch, n] -> f[batch, width].
inline Value first_counted_token(const Operand& hidden, const Value& mask) {
  Graph& g = hidden.graph();
  const Value first = g.op("ArgMax", {cast(mask, DType::i32)}, {{"axis", 1}, {"keepdims", 1}});
  return row_at(hidden, first);
}

/// What lies at each text's last end token: x: f[batch, n, width], ids: i64[batch, n] -> f[batch, width]. `ends` is the
/// config's eos_token_id, which must be one token. Source: BartForSequenceClassification, transformers 4.30.
inline Value at_last_end(const Operand& x, const Value& ids, const std::vector<int64_t>& ends) {
  if (ends.size() != 1) {
    throw Error(ONNXPORT_UNSUPPORTED, "config field 'eos_token_id' lists " + std::to_string(ends.size()) +
                                          " tokens; a text's class is read at the last place of one");
  }
  const Value is_end = cast(equal(ids, ends[0]), DType::i64);
  return row_at(x, largest(is_end * range(size_of(ids, 1)), {1}, true));
}

struct TextClassifier {
  int64_t width, labels;  ///< of the layer between, and of the scores
  std::string activation = "tanh";
};
/// A vector of each text through a layer of the head's own: f32[batch, n] -> f32[batch, labels].
/// Source: RobertaClassificationHead, MPNetClassificationHead, BartClassificationHead, RoFormerClassificationHead and
/// BigBirdClassificationHead, transformers 4.30.
inline Value text_classifier(const Scope& scope, const Operand& vector, const TextClassifier& form) {
  const Value x = activation(linear(scope / "dense", vector, {.out = form.width}), form.activation);
  return linear(scope / "out_proj", x, {.out = form.labels});
}
inline Value text_classifier(const Scope& scope, const Operand& vector, int64_t width, int64_t labels) {
  return text_classifier(scope, vector, {.width = width, .labels = labels});
}

/// Where the weights of a masked-lm head lie below its scope; RoBERTa's names are the defaults.
struct MaskedLmHeadNames {
  std::string dense = "dense", norm = "layer_norm", decoder = "decoder";
  /// Where the bias of the words lies: beside the layer, and in it; a checkpoint has one of both, or both.
  std::vector<std::string> bias{"bias", "decoder.bias"};
};

struct MaskedLmHeadOptions {
  MaskedLmHeadNames names{};
  int64_t width, vocab;  // of the transformed vector, of the logits
  std::string activation = "gelu";
  double epsilon = 1e-12;
  /// The embedding whose table scores the words, too; without it `decoder` has a weight of its own.
  std::optional<Scope> tied{};
  /// Whether of two saved biases that in the layer counts, the last of the names.
  bool own_bias = true;
};
/// The bias of the words, f[vocab]. Of two that differ, that in the layer counts since version 5, whether the table is
/// tied or not. Before, RoBERTa's relatives took it for both as well, BERT's the one beside the layer. Source:
/// RobertaLMHead and BertLMPredictionHead, transformers 4.57 and 5.24.
inline Value words_bias(const Scope& scope, const MaskedLmHeadOptions& options) {
  std::vector<std::string> names = options.names.bias;
  if (options.own_bias) std::reverse(names.begin(), names.end());
  std::string bias = options.names.bias.at(0);
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (scope.has(*name)) bias = *name;
    scope.graph().unused((scope / *name).path());
  }
  return scope.weight(bias, {options.vocab});
}
/// norm(activation(dense(hidden))) · tableᵀ + bias: f32[batch, sequence, n] -> f32[batch, sequence, vocab].
/// Source: BertLMPredictionHead and its relatives, transformers 4.30.
inline Value masked_lm_head(const Scope& scope, const Operand& hidden, const MaskedLmHeadOptions& options) {
  Graph& g = scope.graph();
  Value x = linear(scope / options.names.dense, hidden, {.out = options.width});
  x = activation(x, options.activation);
  x = norm(scope / options.names.norm, x, {.epsilon = options.epsilon});

  const Scope decoder = scope / options.names.decoder;
  if (options.tied) g.unused((decoder / "weight").path());
  const Value table = options.tied.value_or(decoder).weight("weight", {options.vocab, options.width});
  return decoder.composite("Linear", {x, table, words_bias(scope, options)}).in(scope);
}

}  // namespace onnxport::sdk

// SPDX-License-Identifier: Apache-2.0
// Where an answer starts and ends, by a search: the likeliest starts, for each of them the likeliest ends, and whether
// there is an answer at all.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <vector>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/onnx_config.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::sdk {

/// The feature of such a head, which stands beside question-answering.
inline constexpr const char* span_search_feature = "question-answering-beam";

struct SpanSearch {
  int64_t starts, ends;  ///< how many are kept; a text has at least as many tokens
  double epsilon;        ///< of the norm before the ends' scores

  SpanSearch(const Config& c, double norm_epsilon)
      : starts(c.size("start_n_top", 5)), ends(c.size("end_n_top", 5)), epsilon(norm_epsilon) {}

  static std::vector<OutputSpec> outputs() {
    std::vector<OutputSpec> specs;
    for (const char* name :
         {"start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index", "cls_logits"})
      specs.push_back({name, {{0, axis::batch}}});
    return specs;
  }
  /// A text has as many tokens as are kept of it.
  std::vector<AxisSize> axis_sizes() const { return {{.axis = axis::sequence, .minimum = std::max(starts, ends)}}; }
};

/// hidden: f[batch, n, width] -> the outputs above: f and i64[batch, starts], f and i64[batch, starts·ends], f[batch].
/// Weights below `scope`: start_logits, end_logits and answer_class. Source: XLMSQuADHead and
/// XLNetForQuestionAnswering, transformers 5.24.
inline Outputs search_span(const Scope& scope, const Operand& hidden, const SpanSearch& form) {
  Graph& g = hidden.graph();
  const int64_t width = hidden.fixed(-1);
  // A layer over two vectors behind each other is one over each, added up.
  const auto over_both = [&](const Scope& layer, const Value& first, const Value& second) {
    const Value weight = layer.weight("weight", {width, 2 * width});
    const auto half = [&](const Value& x, int64_t begin) {
      return layer.composite("Linear", {x, slice(weight, {1, begin, begin + width})});
    };
    return tanh(half(first, 0) + half(second, width) + layer.weight("bias", {width})).in(scope);
  };

  const Value start = softmax(squeeze(linear(scope / "start_logits.dense", hidden, {.out = 1}), {-1}));
  const TopK starts = top_k(start, form.starts);
  const Value at_starts = g.op("GatherND", {hidden, unsqueeze(starts.indices, {2})}, {{"batch_dims", 1}});

  const Scope ends_at = scope / "end_logits", class_at = scope / "answer_class";
  Value x = over_both(ends_at / "dense_0", unsqueeze(hidden, {2}), unsqueeze(at_starts, {1}));
  x = norm(ends_at / "LayerNorm", x, {.epsilon = form.epsilon});
  const Value end = softmax(squeeze(linear(ends_at / "dense_1", x, {.out = 1}), {-1}), 1);
  const TopK ends = top_k(end, form.ends, {.axis = 1});
  const auto in_a_row = [&](const Value& values) { return reshape(values, {-1, form.starts * form.ends}); };

  const Value likely = squeeze(matmul(unsqueeze(start, {1}), hidden), {1});
  const Value answer = over_both(class_at / "dense_0", likely, pick(hidden, 1, -1));
  return {{"start_top_log_probs", starts.values},
          {"start_top_index", starts.indices},
          {"end_top_log_probs", in_a_row(ends.values)},
          {"end_top_index", in_a_row(ends.indices)},
          {"cls_logits", squeeze(linear(class_at / "dense_1", answer, {.out = 1, .bias = false}), {-1})}};
}

}  // namespace onnxport::sdk

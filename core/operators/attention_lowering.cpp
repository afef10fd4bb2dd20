// SPDX-License-Identifier: Apache-2.0
#include "core/operators/attention_lowering.hpp"

#include <cmath>

#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "core/operators/heads.hpp"
#include "core/operators/masks.hpp"

namespace onnxport::ir {

namespace {

/// Where queries, keys and values have their length: f[batch, n, heads·d] or f[batch, heads, n, d].
size_t length_axis(Builder& b, ValueId x) {
  return b.shape(x).size() == 4 ? 2 : 1;
}

bool is_16_bit(Builder& b, ValueId x) {
  return b.dtype(x) == DType::f16 || b.dtype(x) == DType::bf16;
}

ValueId cast(Builder& b, ValueId x, DType dtype) {
  return b.dtype(x) == dtype ? x : b.op("Cast", {x}, {{"to", static_cast<int64_t>(dtype)}});
}

/// A bias in f32 for an operator of another type: the masked score becomes one of that type.
ValueId bias_as(Builder& b, ValueId bias, DType dtype) {
  const double bound = bound_of(dtype);
  if (b.dtype(bias) != dtype) bias = b.op("Clip", {bias}, {{"min", -bound}, {"max", bound}});
  return cast(b, bias, dtype);
}

/// f[batch, n, heads·d] -> [batch, heads, n, d], where the heads are not apart already.
ValueId apart(Builder& b, ValueId x, int64_t heads) {
  return b.shape(x).size() == 4 ? x : into_heads(b, x, heads, {0, 2, 1, 3});
}

/// -> [batch, heads, d, n]
ValueId apart_transposed(Builder& b, ValueId x, int64_t heads) {
  return b.shape(x).size() == 4 ? b.transpose(x, {0, 1, 3, 2}) : into_heads(b, x, heads, {0, 2, 3, 1});
}

/// Every kv head serves a run of heads: [batch, kv, a, c] -> [batch, heads, a, c]; `grows` is the axis (2 or 3) whose
/// length is known at run time only.
ValueId repeat_heads(Builder& b, ValueId x, int64_t heads, size_t grows) {
  const Shape shape = b.shape(x);
  const int64_t kv_heads = shape[1].size(), times = heads / kv_heads;
  if (times == 1) return x;
  const ValueId wide = b.op("Expand", {b.unsqueeze(x, {2})}, {{"shape", std::vector<int64_t>{1, 1, times, 1, 1}}});
  std::vector<int64_t> target{0, heads, -1, -1};
  const size_t fixed = grows == 2 ? 3 : 2;
  target[fixed] = shape[fixed].size();
  return b.reshape(wide, target);
}

using In = AttentionInput;

/// An attention on its way down. Steps replace its values: rotary tables are applied, masks are made a bias, the cache
/// is joined; what remains is softmax(scale · q kᵀ + bias) v.
class Attention {
 public:
  explicit Attention(Builder& b)
      : b_(b),
        shared_(b.in_scope("mask")),
        heads_(b.node().integer("heads", 0)),
        kv_heads_(b.node().integer("kv_heads", heads_)),
        softcap_(b.node().real("softcap", 0.0)),
        q_(b.node().input(In::q)),
        k_(b.node().input(In::k)),
        v_(b.node().input(In::v)),
        bias_(b.node().input(In::bias)),
        sinks_(b.node().input(In::sinks)) {
    const int64_t width = b.shape(q_).size() == 4 ? b.shape(q_)[3].size() : b.shape(q_)[2].size() / heads_;
    scale_ = b.node().real("scale", 1.0 / std::sqrt(static_cast<double>(width)));
    present_ = b.node().integer("present", 0) != 0;
    probabilities_ = b.node().outputs.size() > (present_ ? 3u : 1u);
  }

  Results run() {
    lengths();
    turn();
    if (!is_triangle()) hide();
    if (!joins_itself()) join();
    Results results = is_fused() ? fused() : decomposed();
    if (present_) results.insert(results.begin() + 1, {k_, v_});
    return results;
  }

 private:
  /// Those of graph inputs where there are such, so that they are the same values in every layer.
  void lengths() {
    const ValueId mask = b_.node().input(In::mask), past = b_.node().input(In::past_key);
    const size_t key_axis = length_axis(b_, k_), query_axis = length_axis(b_, q_);
    total_ = b_.shape(k_)[key_axis];
    if (past != absent) total_ = b_.shape(past)[2] + total_;
    if (mask != absent)
      total_length_ = shared_.length(mask, 1);
    else if (past != absent)
      total_length_ = shared_.op("Add", {shared_.length(past, 2), shared_.length(k_, key_axis)});
    else
      total_length_ = shared_.length(k_, key_axis);
    query_ = b_.shape(q_)[query_axis];
    query_length_ = query_ == total_ ? total_length_ : shared_.length(q_, query_axis);
  }

  void turn() {
    const ValueId cos = b_.node().input(In::cosines), sin = b_.node().input(In::sines);
    if (cos == absent) return;
    const Attributes how{{"interleaved", b_.node().integer("interleaved", 0)}};
    q_ = b_.composite("RotaryEmbedding", {apart(b_, q_, heads_), cos, sin}, how);
    k_ = b_.composite("RotaryEmbedding", {apart(b_, k_, kv_heads_), cos, sin}, how);
  }

  void join() {
    const ValueId past_key = b_.node().input(In::past_key), past_value = b_.node().input(In::past_value);
    if (!present_ && past_key == absent) return;
    k_ = apart(b_, k_, kv_heads_);
    v_ = apart(b_, v_, kv_heads_);
    if (past_key == absent) return;
    k_ = b_.op("Concat", {past_key, k_}, {{"axis", int64_t{2}}});
    v_ = b_.op("Concat", {past_value, v_}, {{"axis", int64_t{2}}});
  }

  void hide() {
    const DType scores = is_16_bit(b_, q_) ? DType::f32 : b_.dtype(q_);
    const Sight sight{.mask = b_.node().input(In::mask),
                      .query_length = query_length_,
                      .total_length = total_length_,
                      .causal = b_.node().integer("causal", 0) != 0,
                      .window = b_.node().integer("window", 0)};
    if (bias_ != absent) bias_ = cast(b_, bias_, scores);
    if (!sight.limited()) return;
    if (bias_ == absent && is_row_of_keys(sight))
      hidden_ = hidden_keys(sight.mask);
    else if (bias_ == absent)
      bias_ = mask_scores(shared_, sight, scores);
    else
      bias_ = b_.op("Where", {counted_keys(shared_, sight), bias_, b_.scalar(masked_score, scores)});
  }

  /// Whether the scores are hidden by a row of keys within the product that makes them, which takes no pass over all
  /// scores. Where few queries meet many keys the row is not worth a copy of the keys.
  bool is_row_of_keys(const Sight& sight) const {
    return !is_fused() && !sight.by_place() && query_ == total_ && b_.dtype(q_) == DType::f32 && softcap_ == 0.0 &&
           scale_ <= 1.0 && b_.shape(sight.mask)[0] == b_.shape(q_)[0] && b_.shape(k_)[0] == b_.shape(q_)[0];
  }

  /// f[batch, heads, 1, total]: one more number of each key, which queries meet with 1. It outweighs every score, also
  /// where a runtime computes with fewer bits, in which the lowest float is none.
  ValueId hidden_keys(ValueId mask) {
    const ValueId counts = cast(shared_, shared_.unsqueeze(mask, {1, 2}), DType::f32);
    const ValueId row = shared_.op(
        "Mul", {shared_.op("Sub", {shared_.scalar(1.0, DType::f32), counts}), shared_.scalar(-0x1p120, DType::f32)});
    return shared_.op("Expand", {row}, {{"shape", std::vector<int64_t>{1, heads_, 1, 1}}});
  }

  /// f[batch, heads, query, 1]: what queries meet that number with, where there are as many as keys.
  ValueId ones() {
    const ValueId one = shared_.scalar(1.0, DType::f32);
    return shared_.transpose(shared_.op("Expand", {one, shared_.op("Shape", {hidden_})}), {0, 1, 3, 2});
  }

  /// From opset 23 ONNX has an operator of this name. It knows no sinks. Its text in ONNX 1.19 has the soft cap behind
  /// the mask, which undoes the mask, where later ones and ONNX Runtime 1.32 have it in front. ONNX Runtime 1.32 does
  /// not yield the probabilities without present keys. A window, which it does not know either, is part of the mask.
  bool is_fused() const { return b_.opset() >= 23 && softcap_ == 0.0 && sinks_ == absent && !probabilities_; }

  /// Whether the fused operator's own causality says all: where queries and keys are not of one length, runtimes differ
  /// in where the first query stands.
  bool is_triangle() const {
    return is_fused() && b_.node().integer("causal", 0) != 0 && b_.node().integer("window", 0) == 0 &&
           bias_ == absent && b_.node().input(In::mask) == absent && query_ == total_;
  }

  /// Whether the fused operator joins past and present: in ONNX Runtime 1.32 that is a tenth to a third faster than
  /// Concat, but half as fast where several heads share a key.
  bool joins_itself() const {
    return is_fused() && present_ && kv_heads_ == heads_ && b_.node().input(In::past_key) != absent;
  }

  Results fused() {
    const bool split = b_.shape(q_).size() == 4 || b_.shape(k_).size() == 4 || b_.shape(v_).size() == 4;
    Results inputs{q_, k_, v_};
    if (split)  // the operator wants all of them in one form
      inputs = {apart(b_, q_, heads_), apart(b_, k_, kv_heads_), apart(b_, v_, kv_heads_)};
    inputs.push_back(bias_ == absent ? absent : bias_as(b_, full_bias(), b_.dtype(q_)));
    Attributes attributes{{"q_num_heads", heads_}, {"kv_num_heads", kv_heads_}, {"scale", scale_}};
    if (is_triangle()) attributes.emplace("is_causal", int64_t{1});
    ValueId mixed = absent;
    if (joins_itself()) {
      inputs.insert(inputs.end(), {b_.node().input(In::past_key), b_.node().input(In::past_value)});
      const Results results = b_.ops("", "Attention", inputs, attributes, 3);
      mixed = results[0];
      k_ = results[1];
      v_ = results[2];
    } else {
      mixed = b_.op("Attention", inputs, attributes);
    }
    return {split ? b_.composite("MergeHeads", {mixed}) : mixed};
  }

  /// The bias with its query and key axes at full length, which the fused operator wants.
  ValueId full_bias() {
    const Shape shape = b_.shape(bias_);
    const size_t rank = shape.size();
    const bool query = rank >= 2 && shape[rank - 2] == query_, total = rank >= 1 && shape[rank - 1] == total_;
    if (query && total) return bias_;
    const Attributes first{{"axis", int64_t{0}}};
    const ValueId full = shared_.op("Concat", {b_.integers({1, 1}), query_length_, total_length_}, first);
    return b_.op("Expand", {bias_, full});
  }

  /// Where a row hides keys, it is joined to the keys, a column of ones to the queries, and nothing is added.
  ///
  ///   q ─ heads ──┐
  ///   k ─ headsᵀ ─ MatMul ─ Mul(scale) ─ [softcap] ─ Add(bias) ─ Softmax ─ MatMul ─ merge
  ///   v ─ heads ───────────────────────────────────────────────────────────┘
  ///
  /// Queries of other places than the keys', as of one new token over a past or over an encoder's result, are scaled
  /// before their heads are split: they are the fewer, and behind the product ONNX Runtime would make the scale its
  /// factor, with which it multiplies a single row in a slower way.
  Results decomposed() {
    const DType dtype = b_.dtype(q_);
    if (scale_ != 1.0 && hidden_ == absent && b_.shape(q_).size() == 3 && !(query_ == total_)) {
      q_ = b_.op("Mul", {q_, b_.scalar(scale_, dtype)});
      scale_ = 1.0;
    }
    ValueId queries = apart(b_, q_, heads_);
    ValueId keys = repeat_heads(b_, apart_transposed(b_, k_, kv_heads_), heads_, 3);
    const ValueId values = repeat_heads(b_, apart(b_, v_, kv_heads_), heads_, 2);
    if (hidden_ != absent) {
      queries = b_.op("Concat", {queries, ones()}, {{"axis", int64_t{3}}});
      keys = b_.op("Concat", {keys, hidden_}, {{"axis", int64_t{2}}});
    }
    // In f16 the product of long vectors may pass the largest number before it is scaled.
    const bool early = scale_ != 1.0 && dtype == DType::f16;
    if (early) queries = b_.op("Mul", {queries, b_.scalar(scale_, dtype)});
    ValueId scores = b_.op("MatMul", {queries, keys});
    if (scale_ != 1.0 && !early) scores = b_.op("Mul", {scores, b_.scalar(scale_, dtype)});
    if (softcap_ != 0.0) {
      const ValueId cap = b_.scalar(softcap_, dtype);
      scores = b_.op("Mul", {b_.op("Tanh", {b_.op("Div", {scores, cap})}), cap});
    }
    // In 16 bits the lowest number does not outweigh a score, so that masks are added, and exponentials summed, in f32.
    if (is_16_bit(b_, q_)) scores = cast(b_, scores, DType::f32);
    if (bias_ != absent) scores = b_.op("Add", {scores, bias_});
    const ValueId shares = sinks_ == absent ? b_.op("Softmax", {scores}, {{"axis", int64_t{-1}}}) : drained(scores);
    const ValueId probabilities = cast(b_, shares, dtype);
    const ValueId mixed = b_.composite("MergeHeads", {b_.op("MatMul", {probabilities, values})});
    if (!probabilities_) return {mixed};
    return {mixed, probabilities};
  }

  /// The softmax beside one more score a head, whose share is dropped.
  ///
  ///   scores ─────────── Concat ─ Softmax ─ Slice
  ///   sinks ─ Expand[batch, heads, query, 1] ┘
  ValueId drained(ValueId scores) {
    const Attributes last{{"axis", int64_t{-1}}};
    const ValueId one = b_.integers({1});
    const ValueId column =
        shared_.op("Concat", {shared_.length(q_, 0), one, query_length_, one}, {{"axis", int64_t{0}}});
    const ValueId sink = b_.op("Expand", {cast(b_, sink_of_heads(), b_.dtype(scores)), column});
    const ValueId shares = b_.op("Softmax", {b_.op("Concat", {scores, sink}, last)}, last);
    return b_.op("Slice", {shares},
                 {{"starts", std::vector<int64_t>{0}},
                  {"ends", std::vector<int64_t>{-1}},
                  {"axes", std::vector<int64_t>{3}},
                  {"steps", std::vector<int64_t>{1}}});
  }

  /// f[1, heads, 1, 1]; a weight is turned into that while it is written.
  ValueId sink_of_heads() {
    const Value stored = b_.value(sinks_);
    if (stored.origin != Origin::weight) return b_.reshape(sinks_, {1, heads_, 1, 1});
    return b_.graph().add_weight(stored.name, stored.weight->then(ReshapeTo{{1, heads_, 1, 1}}));
  }

  Builder& b_;
  Builder shared_;  // for what all layers have in common
  int64_t heads_, kv_heads_;
  double scale_ = 1.0, softcap_;
  bool present_ = false, probabilities_ = false;
  ValueId q_, k_, v_, bias_, sinks_;
  Dim query_, total_;
  ValueId query_length_ = absent, total_length_ = absent;
  ValueId hidden_ = absent;  // in place of a bias: f[batch, heads, 1, total]
};

}  // namespace

Results lower_attention(Builder& b) {
  return Attention(b).run();
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
#include "core/operators/masks.hpp"

#include <fmt/format.h>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"

namespace onnxport::ir {

namespace {

/// bool[query, total]
ValueId near_keys(Builder& b, const Sight& sight) {
  const auto positions = [&](ValueId length) {
    const ValueId scalar = b.op("Squeeze", {length}, {{"axes", std::vector<int64_t>{0}}});
    return b.op("Range", {b.integer(0), scalar, b.integer(1)});
  };
  const ValueId keys = b.unsqueeze(positions(sight.total_length), {0});
  ValueId queries = positions(sight.query_length);
  if (sight.query_length != sight.total_length)
    queries = b.op("Add", {queries, b.op("Sub", {sight.total_length, sight.query_length})});
  queries = b.unsqueeze(queries, {1});
  if (!sight.causal) return b.op("Less", {b.op("Abs", {b.op("Sub", {keys, queries})}), b.integer(sight.window)});
  const ValueId not_after = b.op("LessOrEqual", {keys, queries});
  if (sight.window == 0) return not_after;
  return b.op("And", {not_after, b.op("Greater", {keys, b.op("Sub", {queries, b.integer(sight.window)})})});
}

ValueId mask_as(Builder& b, ValueId mask, DType dtype) {
  return b.op("Cast", {b.unsqueeze(mask, {1, 2})}, {{"to", static_cast<int64_t>(dtype)}});
}

}  // namespace

ValueId counted_keys(Builder& b, const Sight& sight) {
  if (sight.mask == absent) return near_keys(b, sight);
  const ValueId counts = mask_as(b, sight.mask, DType::boolean);
  return sight.by_place() ? b.op("And", {counts, near_keys(b, sight)}) : counts;
}

ValueId mask_scores(Builder& b, const Sight& sight, DType dtype) {
  const ValueId masked = b.scalar(masked_score, dtype);
  if (sight.by_place()) return b.op("Where", {counted_keys(b, sight), b.scalar(0.0, dtype), masked});
  // Over a row of keys arithmetic is cheaper than a choice.
  return b.op("Mul", {b.op("Sub", {b.scalar(1.0, dtype), mask_as(b, sight.mask, dtype)}), masked});
}

int64_t window_of(const Inference& x) {
  const int64_t window = x.node.integer("window", 0);
  if (window < 0) refuse(fmt::format("a window of {} keys; 0 is none", window));
  return window;
}

namespace {

void infer_attention_mask(Inference& x) {
  require_rank(x, 0, 2);
  const bool placed = x.node.integer("causal", 0) != 0 || window_of(x) != 0;
  if (placed && !x.has(1)) refuse("a causal mask, or one with a window, needs to know the queries");
  const Shape& mask = x.shape(0);
  set(x, DType::f32, {mask[0], Dim(1), placed ? x.shape(1).at(1) : Dim(1), mask[1]});
}

void infer_causal_mask(Inference& x) {
  const Dim query = x.shape(0).at(1);
  Dim total = query;
  if (x.has(1)) {
    require_rank(x, 1, 4);
    total = x.shape(1)[2] + query;
  }
  set(x, DType::f32, {Dim(1), Dim(1), query, total});
}

/// Masks that older definitions make themselves and add as a bias.
Results attention_mask(Builder& b) {
  const ValueId mask = b.node().input(0), query = b.node().input(1);
  Sight sight{.mask = mask, .causal = b.node().integer("causal", 0) != 0, .window = b.node().integer("window", 0)};
  if (sight.by_place()) {
    const bool same = b.shape(query)[1] == b.shape(mask)[1];
    sight.total_length = b.length(mask, 1);
    sight.query_length = same ? sight.total_length : b.length(query, 1);
  }
  return {mask_scores(b, sight, DType::f32)};
}

Results causal_mask(Builder& b) {
  const ValueId ids = b.node().input(0), past = b.node().input(1);
  const ValueId query = b.length(ids, 1);
  const ValueId total = past == absent ? query : b.op("Add", {b.length(past, 2), query});
  const Sight sight{.query_length = query, .total_length = total, .causal = true};
  return {b.unsqueeze(mask_scores(b, sight, DType::f32), {0, 1})};
}

}  // namespace

const std::vector<Operator>& mask_operators() {
  using enum AttributeKind;
  // They are in f32 whatever they are made of, with the lowest float in them.
  static const Precision lowest{.beyond = Precision::Beyond::always};
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "AttentionMask",
       .inputs = {1, 2},
       .infer = infer_attention_mask,
       .attributes = {{"causal", integer, "0"}, {"window", integer, "0"}},
       .lowering = {{attention_mask}},
       .precision = lowest,
       .documentation = {"mask: i64[batch, total], [query: any[batch, query, ...]]",
                         "as f32[batch, 1, query or 1, total]: 0 where a key counts, the float beside the lowest "
                         "where not; mask, causal and window as Attention takes them. For definitions that add it as a "
                         "bias themselves"}},
      {.domain = composite_domain,
       .name = "CausalMask",
       .inputs = {1, 2},
       .infer = infer_causal_mask,
       .lowering = {{causal_mask}},
       .precision = lowest,
       .documentation = {"query: any[batch, query, ...], [past: f[batch, heads, past, d]]",
                         "the same where every key counts: f32[1, 1, query, past + query]"}},
  };
  return rows;
}

}  // namespace onnxport::ir

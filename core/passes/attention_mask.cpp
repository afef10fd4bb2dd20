// SPDX-License-Identifier: Apache-2.0
#include "core/passes/attention_mask.hpp"

#include "core/ir/operators.hpp"

namespace onnxport {

using ir::ValueId;

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

ValueId mask_as(Builder& b, ValueId mask, ir::DType dtype) {
  return b.op("Cast", {b.unsqueeze(mask, {1, 2})}, {{"to", static_cast<int64_t>(dtype)}});
}

}  // namespace

ValueId counted_keys(Builder& b, const Sight& sight) {
  if (sight.mask == ir::absent) return near_keys(b, sight);
  const ValueId counts = mask_as(b, sight.mask, ir::DType::boolean);
  return sight.by_place() ? b.op("And", {counts, near_keys(b, sight)}) : counts;
}

ValueId mask_scores(Builder& b, const Sight& sight, ir::DType dtype) {
  const ValueId masked = b.scalar(ir::masked_score, dtype);
  if (sight.by_place()) return b.op("Where", {counted_keys(b, sight), b.scalar(0.0, dtype), masked});
  // Over a row of keys arithmetic is cheaper than a choice.
  return b.op("Mul", {b.op("Sub", {b.scalar(1.0, dtype), mask_as(b, sight.mask, dtype)}), masked});
}

}  // namespace onnxport

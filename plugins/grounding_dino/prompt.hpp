// SPDX-License-Identifier: Apache-2.0
// A prompt of several phrases, "a cat. a remote control.", whose tokens see those of their own phrase alone.
// Source: generate_masks_with_special_tokens_and_transfer_map, transformers 5.24 (modeling_grounding_dino.py).
#pragma once

#include <limits>

#include <onnxport/operations.hpp>

namespace onnxport::grounding_dino {

using namespace onnxport::sdk;

struct Prompt {
  Value ids, segments, mask;  // i64[batch, n]; of the mask 1 where a token counts
  Value positions;            // within the phrase: i64[batch, n]
  Value bias;                 // f32[batch, 1, n, n]: 0 where two tokens are of one phrase
};

/// Phrases end in [CLS], [SEP], "." or "?" as BERT's vocabulary numbers them, whatever the model's own. The last one,
/// which the text's end cuts off or which ends there, is none: its tokens see themselves alone. That of padding is of
/// this kind.
inline Prompt prompt_of(const Value& ids, const Value& segments, const Value& mask) {
  Graph& g = ids.graph();
  Value ends;
  for (const int64_t token : {101, 102, 1012, 1029}) {
    const Value here = equal(ids, token);
    ends = ends ? g.op("Or", {ends, here}) : here;
  }
  const Value ended = cast(ends, DType::i64);
  const Value phrase = cumulative_sum(ended, 1) - ended;  // how many end before
  const Value whole = logical_not(equal(phrase, slice(phrase, {1, -1})));
  const Value same = g.op("And", {equal(unsqueeze(phrase, {2}), unsqueeze(phrase, {1})), unsqueeze(whole, {1})});

  const Value place = range(size_of(ids, 1)), row = unsqueeze(place, {1}), column = unsqueeze(place, {0});
  const Value before = g.op("And", {same, g.op("Less", {column, row})});
  const Value sees = g.op("Or", {same, equal(row, column)});
  const Value bias = where(sees, g.scalar(0), g.scalar(static_cast<double>(std::numeric_limits<float>::lowest())));
  return {ids, segments, mask, sum(cast(before, DType::i64), {2}), unsqueeze(bias, {1})};
}

}  // namespace onnxport::grounding_dino

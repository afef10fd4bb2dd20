// SPDX-License-Identifier: Apache-2.0
// ProphetNet's attention of a decoder: a main stream reads the text, and others, which predict one token ahead each,
// read the main stream and themselves. Source: ProphetNetNgramSelfAttention, transformers 4.57 and 5.24.
#pragma once

#include <cmath>

#include <onnxport/relative_bias.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/seq2seq.hpp>

namespace prophetnet {

using namespace onnxport::sdk;

struct NgramForm {
  int64_t width, heads;
  int64_t streams;  ///< that predict
  int64_t buckets, max_distance;

  int64_t head_size() const { return width / heads; }
};

/// What is the same for every layer of a step of n tokens, with `total` behind them and before.
struct NgramStep {
  Value mask;     ///< i64[batch, total]: 1 where a token counts; absent: all do
  Value buckets;  ///< i64[n, total]: of the main stream's distances
  Value ahead;    ///< i64[n, total]: of those one place further, which the other streams have
  Value seen;     ///< b[batch or 1, streams, 1, n, total]: which of the main stream's tokens the others see
};

/// The step of `ids` i64[batch, n] behind `past` tokens (i64 scalar or absent). Stream s leaves out the last s tokens,
/// but the first of all; a step of one token sees all that there are.
inline NgramStep ngram_step(const Scope& scope, const Value& ids, const Value& past, const Value& mask,
                            const NgramForm& form) {
  Graph& g = scope.graph();
  const Value fresh = range(size_of(ids, 1).in(scope)), is_lone = equal(size_of(ids, 1), 1);
  const Value places = past ? fresh + past : fresh;
  const Value keys = past ? range(size_of(ids, 1) + past) : fresh;
  const Value distance = unsqueeze(places, {1}) - unsqueeze(keys, {0});

  const RelativeBias scale{.buckets = form.buckets, .max_distance = form.max_distance, .bidirectional = false};
  std::vector<int64_t> table;
  for (int64_t i = 0; i <= form.max_distance; ++i) table.push_back(relative_bucket(-i, scale));
  const auto bucket_of = [&](const Value& distances) {
    const Value near = g.op("Min", {g.op("Max", {distances, g.integer(0)}), g.integer(form.max_distance)});
    return gather(g.integers(table), near);
  };

  NgramStep step;
  if (mask) step.mask = g.op("Max", {mask, cast(is_lone, DType::i64)});
  step.buckets = bucket_of(distance);
  step.ahead = bucket_of(distance + g.integer(1));
  const Value left_out = reshape(range(g.integer(form.streams)), {-1, 1, 1});
  const Value in_reach = g.op("GreaterOrEqual", {unsqueeze(distance, {0}), left_out});
  const Value is_first = equal(unsqueeze(keys, {0, 1}), 0);
  const Value seen = g.op("Or", {g.op("Or", {in_reach, is_first}), is_lone});
  step.seen = unsqueeze(seen, {0, 2});
  if (mask) step.seen = g.op("And", {step.seen, unsqueeze(cast(step.mask, DType::boolean), {1, 2, 3})});
  return step;
}

/// x: f[batch, (1 + streams)·n, width], the main stream first -> the same.
/// Weights: query_proj, key_proj, value_proj, out_proj and relative_pos_embeddings, all with biases.
inline Value ngram_attention(const Scope& s, const Value& x, const NgramStep& step, const NgramForm& form, Cache& cache,
                             int64_t layer) {
  Graph& g = s.graph();
  const int64_t heads = form.heads, d = form.head_size(), streams = form.streams;
  // f[batch, 1 + streams, heads, n, d], parted into the main stream's and the others'.
  struct Parted {
    Value main, others;
  };
  const auto parted = [&](const char* name) -> Parted {
    const Value all = reshape(linear(s / name, x, {.out = form.width}), {0, 1 + streams, -1, heads, d});
    const Value apart = transpose(all, {0, 1, 3, 2, 4});
    return {pick(apart, 1, 0), slice(apart, {1, 1})};
  };
  const Parted query = parted("query_proj"), key = parted("key_proj"), value = parted("value_proj");
  const KeyValue before = cache.past(layer);
  const KeyValue all{before.key ? concat({before.key, key.main}, 2) : key.main,
                     before.value ? concat({before.value, value.main}, 2) : value.main};
  cache.keep(layer, all);

  // What each token has for each bucket, f[batch, 1 + streams, n, buckets, heads].
  const Value told = reshape(linear(s / "relative_pos_embeddings", x, {.out = form.buckets * heads}),
                             {0, 1 + streams, -1, form.buckets, heads});
  const auto at = [&](const Value& of, const Value& buckets) {
    const auto rank = static_cast<int64_t>(of.rank());
    const Value shape = concat({shape_of(of, 0, rank - 2), shape_of(buckets, 0, 2)}, 0);
    return g.op("GatherElements", {of, g.op("Expand", {buckets, shape})}, {{"axis", -1}});
  };

  const Value bias = at(transpose(pick(told, 1, 0), {0, 3, 1, 2}), step.buckets);
  const Value main =
      attention(query.main, all.key, all.value, {.heads = heads, .bias = bias, .causal = true, .mask = step.mask})
          .mixed;

  // The original reads f[batch, n, streams, heads, buckets] as f[batch, streams, heads, n, buckets].
  const Value other = reshape(transpose(slice(told, {1, 1}), {0, 2, 1, 4, 3}), {0, streams, heads, -1, form.buckets});
  const Value asked = query.others * (1 / std::sqrt(static_cast<double>(d)));
  const Value to_main = matmul(asked, transpose(unsqueeze(all.key, {1}), {0, 1, 2, 4, 3})) + at(other, step.ahead);
  const Value to_itself = unsqueeze(sum(asked * key.others, {-1}), {-1}) + slice(other, {-1, 0, 1});
  constexpr double unseen = -1e9;
  const Value scores = concat({where(step.seen, to_main, g.scalar(unseen, to_main.dtype())), to_itself}, -1);
  const Value shares = softmax(scores);
  const Value found =
      matmul(slice(shares, {-1, 0, -1}), unsqueeze(all.value, {1})) + slice(shares, {-1, -1}) * value.others;
  const Value others = reshape(transpose(found, {0, 1, 3, 2, 4}), {0, -1, form.width});
  return linear(s / "out_proj", concat({main, others}, 1), {.out = form.width});
}

}  // namespace prophetnet

// SPDX-License-Identifier: Apache-2.0
// LongT5's attention of an encoder: every token sees those near it and, if the config wants so, sums of blocks of the
// text. What is computed grows with the text's length, not with its square, but for the sums. Source:
// LongT5LocalAttention and LongT5TransientGlobalAttention, transformers 5.24.
#pragma once

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/relative_bias.hpp>

namespace t5 {

using namespace onnxport::sdk;

/// How far a token sees, and what it sees beside.
struct NearAttention {
  int64_t heads, head_size;
  int64_t size;    ///< of a block of queries; keys less than so many places away are seen
  int64_t summed;  ///< so many tokens are summed to one; 0: there are no sums
  RelativeBias distances;
  Norm sum_norm;
};

/// A text cut into blocks of queries, each with the keys before, in and behind it, which all layers share.
struct NearText {
  Value queries, keys;  ///< i64[blocks, size], i64[blocks, 3·size]: places, those beyond the text at its ends
  Value results;        ///< i64[batch, n]: where the blocks' results have each token
  Value bias;           ///< f32[batch·blocks, heads, size, seen]: by distance; hides what is not seen
  Value members;        ///< f32[batch, sums, n]: 1 where a token is part of a sum; absent without sums
  Value seen;           ///< i64 scalar: how many keys a query has; absent without sums
};

namespace detail {

constexpr double hidden = -65504;  // the lowest half; no score comes near it

/// Sums of `summed` tokens each: of which of them a token is part, and which there are. Tokens behind the last whole
/// block belong to that one.
struct Sums {
  Value of;     ///< i64[batch, n]; -1: of none
  Value exist;  ///< bool[batch, sums]
  Value count;  ///< i64 scalar, at least 1
};
inline Sums sums_of(const Value& mask, int64_t summed) {
  Graph& g = mask.graph();
  const Value length = size_of(mask, 1), place = range(length), size = g.integer(summed);
  const Value whole = g.op("Div", {place + g.integer(1), size});  // blocks that end at a place or before
  const Value is_end = cast(equal(whole * size, place + g.integer(1)), DType::i64);
  const Value last = g.op("ReduceSum", {mask * is_end}, {{"axes", {1}}, {"keepdims", 1}}) - g.integer(1);
  const Value block = g.op("Min", {g.op("Div", {place, size}), last});
  Sums sums;
  sums.of = block * mask + mask - g.integer(1);
  sums.count = size_of(range(g.op("Max", {g.op("Div", {length, size}), g.integer(1)})), 0);
  sums.exist = g.op("LessOrEqual", {range(sums.count), largest(sums.of, {1}, true)});
  return sums;
}

}  // namespace detail

/// What the layers share of a text: mask: i64[batch, n]. The tables of distances are those of `attention`.
inline NearText near_text(const Scope& attention, const Value& mask, const NearAttention& form) {
  Graph& g = attention.graph();
  const int64_t size = form.size;
  const Value text = mask.in(attention), length = size_of(text, 1), last = length - g.integer(1);
  const Value blocks = size_of(range(g.op("Div", {length + g.integer(size - 1), g.integer(size)})), 0);
  const Value starts = unsqueeze(range(blocks) * g.integer(size), {1});
  const auto numbers = [&](int64_t from, int64_t count) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < count; ++i) all.push_back(from + i);
    return g.integers(all);
  };
  NearText made;
  made.queries = g.op("Min", {starts + numbers(0, size), last});
  const Value wanted = starts + numbers(-size, 3 * size);
  made.keys = g.op("Max", {g.op("Min", {wanted, last}), g.integer(0)});
  made.results = unsqueeze(range(size_of(text, 0)) * blocks * g.integer(size), {1}) + range(length);

  // Near keys: by the distance between places in a block, the same in all of them.
  const Value near =
      relative_bias(attention / "relative_attention_bias", numbers(size, size), numbers(0, 3 * size), form.distances);
  const Value away = g.op("Abs", {numbers(-size, 3 * size) - unsqueeze(numbers(0, size), {1})});
  const Value banded = where(g.op("Less", {away, g.integer(size)}), near, g.scalar(detail::hidden));
  const Value counts = gather(text, made.keys, 1) * cast(equal(wanted, made.keys), DType::i64);
  const auto hide = [&](const Value& counted, const Value& bias) {
    return where(unsqueeze(counted, {1, 2}), bias, g.scalar(detail::hidden));
  };
  made.bias = hide(cast(reshape(counts, {-1, 3 * size}), DType::boolean), banded);
  if (form.summed == 0) return made;

  const detail::Sums sums = detail::sums_of(text, form.summed);
  const Value each = range(sums.count);
  made.members = cast(equal(unsqueeze(sums.of, {1}), unsqueeze(each, {1})), DType::f32);
  made.seen = sums.count + g.integer(3 * size);
  const Value own = reshape(gather(sums.of, made.queries, 1), {-1, size, 1});
  const Value beside = transpose(
      bias_of_distances(attention / "global_relative_attention_bias", each - own, form.distances), {1, 0, 2, 3});
  // Every block of a text has its sums: bool[batch, sums] -> bool[batch·blocks, sums].
  const Value exist = gather(unsqueeze(cast(sums.exist, DType::i64), {1}), range(blocks) * g.integer(0), 1);
  const Value shape = concat({g.integers({-1}), unsqueeze(sums.count, {0})}, 0);
  made.bias = concat({made.bias, hide(cast(reshape(exist, shape), DType::boolean), beside)}, -1);
  return made;
}

/// x: f[batch, n, width] -> the same. Weights: q, k, v, o, and with sums global_input_layer_norm.
inline Value near_attention(const Scope& s, const Value& x, const NearText& text, const NearAttention& form) {
  Graph& g = x.graph();
  const int64_t width = form.heads * form.head_size;
  const auto made_by = [&](const char* name, const Value& from) {
    return linear(s / name, from, {.out = width, .bias = false});
  };
  Value sums;
  if (text.members) sums = norm(s / "global_input_layer_norm", matmul(text.members, x.in(s)), form.sum_norm);
  const auto keys = [&](const char* name) {
    const Value near = gather(made_by(name, x), text.keys, 1);  // f[batch, blocks, 3·size, width]
    if (!sums) return reshape(near, {-1, 3 * form.size, width});
    const Value each_block = range(size_of(text.keys, 0)) * g.integer(0);
    const Value beside = gather(unsqueeze(made_by(name, sums), {1}), each_block, 1);
    const Value shape = concat({g.integers({-1}), unsqueeze(text.seen, {0}), g.integers({width})}, 0);
    return reshape(concat({near, beside}, 2), shape);
  };
  const Value queries = reshape(gather(made_by("q", x), text.queries, 1), {-1, form.size, width});
  const Value mixed =
      attention(queries, keys("k"), keys("v"), {.heads = form.heads, .scale = 1.0, .bias = text.bias}).mixed;
  const Value in_order = gather(reshape(mixed, {-1, width}), text.results).in(s);
  return linear(s / "o", in_order, {.out = x.fixed(-1), .bias = false});
}

}  // namespace t5

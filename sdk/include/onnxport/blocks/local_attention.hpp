// SPDX-License-Identifier: Apache-2.0
// Attention in which every token sees those that are near it, on both sides: in blocks of queries, each with the keys
// that one of them may see, so that what is computed grows with the length and not with its square.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>

#include <onnxport/blocks/attention.hpp>

namespace onnxport::sdk {

/// How a text is cut into blocks, which all layers of a window share. A text that is not much longer than what a block
/// has keys is one block.
struct LocalBlocks {
  Value length;                ///< i64 scalar: of the text
  Value blocks, size, near{};  ///< i64 scalars: how many there are, and queries and keys of each
  Value queries{}, keys{};     ///< i64[blocks·size], i64[blocks·near]: places in the text
  Value bias{};                ///< f32[batch, 1, blocks, size, near]: hides keys that do not count or are too far
  Value blind{};               ///< bool[batch, n, 1]: tokens that see no key
  Value shares{};              ///< f32[1, n]: what each token counts in the mean of all
};
/// mask: i64[batch, n], 1 where a token counts; `reach`: how many places a token sees to each side, above 0. What is
/// made of them stands in `scope`.
inline LocalBlocks local_blocks(const Scope& scope, const Value& mask, int64_t reach) {
  Graph& g = scope.graph();
  const auto least = [&](const Value& a, const Value& b) { return g.op("Min", {a, b}); };
  const Value length = size_of(mask, 1).in(scope), one = g.integer(1);
  const Value is_short = g.op("LessOrEqual", {length, g.integer(6 * reach)});
  const Value size = named_length(scope / "size", where(is_short, length, g.integer(reach)));
  const Value blocks = named_length(scope / "blocks", g.op("Div", {length + size - one, size}));
  const Value beside = least(blocks - one, one) * g.integer(reach);
  const Value near = named_length(scope / "near", size + beside * g.integer(2));

  const Value starts = unsqueeze(range(blocks) * size, {1}), last = length - one;
  const Value wanted = starts - beside + range(near);
  const Value found = g.op("Max", {least(wanted, last), g.integer(0)});
  const Value queries = named_length(scope / "queries", blocks * size);
  const Value keys = named_length(scope / "keys", blocks * near);
  LocalBlocks made{.length = length, .blocks = blocks, .size = size, .near = near};
  made.queries = least(range(queries), last);
  made.keys = reshape(found, unsqueeze(keys, {0}));

  const Value counts = gather(mask, found, 1) * cast(equal(wanted, found), DType::i64);
  const Value distance = g.op("Abs", {range(near) - beside - unsqueeze(range(size), {1})});
  const Value band = cast(g.op("LessOrEqual", {distance, g.integer(reach)}), DType::i64);
  const Value seen = unsqueeze(counts, {2}) * band;  // [batch, blocks, size, near]
  constexpr double hidden = -65504;                  // the lowest half; no score comes near it
  made.bias = unsqueeze(where(equal(seen, 0), g.scalar(hidden), g.scalar(0)), {1});
  const Value by_row = reshape(sum(seen, {3}), concat({g.integers({0}), unsqueeze(queries, {0})}, 0));
  made.blind = unsqueeze(equal(gather(by_row, range(length), 1), 0), {2});
  // A product with equal shares takes an eighth of the time that ONNX Runtime (1.32, CPU) has for ReduceMean of that
  // axis.
  const Value alone = unsqueeze(length, {0});
  made.shares = g.op("Expand", {g.scalar(1) / cast(alone, DType::f32), concat({g.integers({1}), alone}, 0)});
  return made;
}

/// Queries, keys and values with their heads apart, f[batch, heads, n, d], turned where the model does that, ->
/// f[batch, n, heads·d]. As with a mask that is added to all scores, a token that sees none has the mean of all values.
inline Value local_attention(const QueryKeyValue& made, const LocalBlocks& blocks) {
  Graph& g = made.query.graph();
  const auto in_blocks = [&](const Value& x, const Value& places, const Value& each) {
    const Value shape =
        concat({g.integers({0, 0}), unsqueeze(blocks.blocks, {0}), unsqueeze(each, {0}), g.integers({x.fixed(3)})}, 0);
    return reshape(gather(x, places, 2), shape);
  };
  // The scale stands beside the product, which takes it in.
  const Value query =
      in_blocks(made.query, blocks.queries, blocks.size) * (1 / std::sqrt(static_cast<double>(made.query.fixed(3))));
  const Value key = in_blocks(made.key, blocks.keys, blocks.near);
  const Value scores = matmul(query, transpose(key, {0, 1, 2, 4, 3}));
  const Value mixed = matmul(softmax(scores + blocks.bias), in_blocks(made.value, blocks.keys, blocks.near));
  const Value rows = reshape(mixed, concat({g.integers({0, 0, -1}), g.integers({made.value.fixed(3)})}, 0));
  const Value all = merge_heads(matmul(blocks.shares, made.value));  // [batch, 1, heads·d]
  return where(blocks.blind, all, gather(merge_heads(rows), range(blocks.length), 1));
}

}  // namespace onnxport::sdk

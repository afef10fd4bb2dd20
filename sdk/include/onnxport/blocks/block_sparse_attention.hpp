// SPDX-License-Identifier: Apache-2.0
// BigBird's attention: a text in blocks, of which each sees its neighbours, the first and the last one, while these two
// see all. Texts that are too short for that are attended to as a whole, by the same graph.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <vector>

#include <onnxport/blocks/attention.hpp>

namespace onnxport::sdk {

struct SparseBlocks {
  int64_t size;    ///< of a block
  int64_t random;  ///< further blocks, drawn in training; without it they all are the first block
  /// Up to so many tokens a text is attended to as a whole.
  int64_t whole() const { return (5 + 2 * random) * size; }
};

/// Which rows of keys each block of queries sees, which all layers share. Rows are those of all texts' tokens, one
/// behind the other.
struct SparseRows {
  Value queries;  ///< i64[batch·blocks, size]
  Value keys;     ///< i64[batch·blocks, near + 2·edge]: the neighbours', then the first and the last block's
  Value counts;   ///< i64[batch·blocks, near + 2·edge]: 1 where a key counts
  Value weights;  ///< f32[1, near + 2·edge]: added to scores
  Value edges;    ///< i64[batch, edges]: queries that see all keys
  Value results;  ///< i64[batch, n]: the row of each token among the blocks' results, then the edges', then a zero's
};
/// mask: i64[batch, n], 1 where a token counts. What is made of it stands in `scope`.
inline SparseRows sparse_rows(const Scope& scope, const Operand& mask, const SparseBlocks& form) {
  Graph& g = scope.graph();
  const auto one = [&](const Value& x) { return unsqueeze(x, {0}); };
  const auto from = [&](const Value& x, const Value& low) { return g.op("GreaterOrEqual", {x, low}); };
  const auto below = [&](const Value& x, const Value& high) { return g.op("Less", {x, high}); };
  const auto both = [&](const Value& a, const Value& b) { return g.op("And", {a, b}); };
  const Value batch = size_of(mask, 0), length = size_of(mask.in(scope), 1), last = length - g.integer(1);

  // A text that is attended to as a whole is one block without neighbours and without edges.
  const Value sparse = from(length, g.integer(form.whole() + 1)), is_sparse = cast(sparse, DType::i64);
  const Value size = named_length(scope / "size", where(sparse, g.integer(form.size), length));
  const Value blocks = named_length(scope / "blocks", g.op("Div", {last + size, size}));
  const Value all_blocks = named_length(scope / "all_blocks", batch * blocks);
  const Value edge = named_length(scope / "edge", is_sparse * g.integer(form.size));
  const Value near = named_length(scope / "near", size + edge * g.integer(2));
  const Value last_block = (blocks - g.integer(1)) * size;  // its first place

  const Value starts = unsqueeze(range(blocks) * size, {1});
  const Value text = unsqueeze(range(batch), {1}), first_row = unsqueeze(text * length, {2});
  const auto in_blocks = [&](const Value& x, const Value& width) {
    return reshape(x, concat({one(all_blocks), one(width)}, 0));
  };
  const auto within = [&](const Value& places) { return g.op("Max", {g.op("Min", {places, last}), g.integer(0)}); };

  SparseRows made;
  made.queries = in_blocks(within(starts + range(size)) + first_row, size);
  // Neighbours that are the first or the last block are seen as such.
  const Value end = where(sparse, last_block, length);
  const Value beside = starts - edge + range(near);
  const Value beside_counts = both(from(beside, edge), below(beside, end));
  const Value edges = concat({range(edge), last_block + range(edge)}, 0);
  const Value every = starts - starts;  // of each block
  const Value keys = concat({beside, edges + every}, 1);
  const Value counts = concat({beside_counts, below(edges + every, length)}, 1);
  const Value found = within(keys);
  made.keys = in_blocks(found + first_row, near + edge * g.integer(2));
  made.counts = in_blocks(gather(mask.in(scope), found, 1) * cast(counts, DType::i64), near + edge * g.integer(2));
  // The first block is seen once more for each that was drawn in training.
  const Value column = range(near + edge * g.integer(2));
  const Value is_first = both(from(column, near), below(column, near + edge));
  made.weights = one(cast(is_first, DType::f32) * std::log(1 + static_cast<double>(form.random)));

  // Where there are no edges, two queries stand for them whose results nobody reads.
  const Value seeing = g.op("Max", {edge, g.integer(1)}), both_edges = seeing * g.integer(2);
  made.edges = within(concat({range(seeing), last_block + range(seeing)}, 0)) + squeeze(first_row, {2});
  const Value place = range(length), padded = blocks * size;
  const Value to_edges = padded * batch + text * both_edges;
  const Value of_last = to_edges + seeing + place - last_block;
  const Value inner = where(both(sparse, from(place, last_block)), of_last, text * padded + place);
  const Value row = where(below(place, edge), to_edges + place, inner);
  // Padding is attended to nothing, where there are blocks.
  const Value zeros = (padded + both_edges) * batch;
  const Value counted = g.op("Or", {cast(mask.in(scope), DType::boolean), logical_not(sparse)});
  made.results = where(counted, row, zeros);
  return made;
}

struct BlockSparse {
  int64_t heads;
  Value mask;  ///< i64[batch, n]
};
/// Queries, keys and values f[batch, n, width] -> the same, before the layer behind.
/// Source: BigBirdBlockSparseAttention, transformers 4.57.
inline Value block_sparse_attention(const QueryKeyValue& made, const SparseRows& rows, const BlockSparse& form) {
  Graph& g = made.query.graph();
  const int64_t width = made.query.fixed(-1);
  const auto in_rows = [&](const Value& x) { return reshape(x, {-1, width}); };
  const Value query = in_rows(made.query);
  const Value blocks = attention(gather(query, rows.queries), gather(in_rows(made.key), rows.keys),
                                 gather(in_rows(made.value), rows.keys),
                                 {.heads = form.heads, .bias = rows.weights, .mask = rows.counts})
                           .mixed;
  const Value edges =
      attention(gather(query, rows.edges), made.key, made.value, {.heads = form.heads, .mask = form.mask}).mixed;
  const Value zeros = g.constant<float>(DType::f32, {1, width}, std::vector<float>(static_cast<size_t>(width)));
  return gather(concat({in_rows(blocks), in_rows(edges), zeros}, 0), rows.results);
}

}  // namespace onnxport::sdk

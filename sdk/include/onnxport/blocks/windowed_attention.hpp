// SPDX-License-Identifier: Apache-2.0
// Longformer's attention: every token sees those near it and a few global tokens, which see all and are seen by all.
// Texts of any length and any number of global tokens; what is computed grows with the length, not with its square.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <vector>

#include <onnxport/config.hpp>
#include <onnxport/layers.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::sdk {

/// How many places a layer's tokens see, on both sides together: one number, or one for each layer, by the field
/// attention_window. Throws CONFIG where there are not as many as layers, or one is odd.
inline std::vector<int64_t> attention_windows(const Config& c, int64_t layers) {
  std::vector<int64_t> all;
  if (c.is_list("attention_window"))
    all = c.integers("attention_window");
  else
    all.assign(static_cast<size_t>(layers), c.integer("attention_window", 512));
  if (static_cast<int64_t>(all.size()) != layers) {
    throw Error(ONNXPORT_CONFIG, "config field 'attention_window' lists " + std::to_string(all.size()) +
                                     " windows; expected one for each of the " + std::to_string(layers) + " layers");
  }
  for (const int64_t window : all) {
    if (window > 0 && window % 2 == 0) continue;
    throw Error(ONNXPORT_CONFIG, "config field 'attention_window' is " + std::to_string(window) +
                                     "; expected an even number above 0, half of it for each side");
  }
  return all;
}

/// What a text's tokens are to each other, which all layers share.
struct GlobalPlaces {
  Value batch, length;      ///< i64 scalars
  Value mask, is_global{};  ///< i64[batch, length]: 1 where a token counts, and where it counts and is global
  Value first_row{};        ///< i64[batch, 1]: of each text, where all texts' tokens are one behind the other
  /// The global tokens of each text in their order, as many as the text with the most of them has, and at least one:
  /// i64[batch, most]; which of them there are: i64[batch, most].
  Value places{}, exist{};
  Value most{};  ///< i64 scalar
};
/// mask, global_mask: i64[batch, n]. What is made of them stands in `scope`.
inline GlobalPlaces global_places(const Scope& scope, const Operand& mask, const Value& global_mask) {
  Graph& g = scope.graph();
  GlobalPlaces all{.batch = size_of(mask, 0), .length = size_of(mask, 1), .mask = mask.in(scope)};
  all.is_global = all.mask * global_mask;
  all.first_row = unsqueeze(range(all.batch) * all.length, {1});
  const Value most = largest(sum(all.is_global, {1}), {0});
  all.most = named_length(scope / "most", g.op("Max", {most, g.integer(1)}));
  // No two are equal, so that the order is one and the same everywhere; those that are no global ones are not above 0.
  const Value order = all.is_global * (all.length * g.integer(2)) - range(all.length);
  const TopK top = top_k(order, all.most, {.axis = 1});
  all.places = top.indices;
  all.exist = cast(g.op("Greater", {top.values, g.integer(0)}), DType::i64);
  return all;
}

/// How a text is cut into blocks of queries, each with the keys that it may see, which all layers of a window share.
/// Rows are those of all texts' tokens, one behind the other.
struct WindowBlocks {
  Value queries;  ///< i64[batch·blocks, size]: rows
  Value keys;     ///< i64[batch·blocks, near + most]: rows, first the near ones, then the global ones
  Value counts;   ///< i64[batch·blocks, near + most]: 1 where a key counts
  Value band;     ///< f32[size, near + most]: added to scores; hides near keys that are beyond the window
  /// i64[batch, n]: the row of each token among the blocks' results, then the global tokens', then one of zeros.
  Value results;
};
/// `window`: how many places a token sees to each side. What is made of the text stands in `scope`.
inline WindowBlocks window_blocks(const Scope& scope, const GlobalPlaces& text, int64_t window) {
  Graph& g = scope.graph();
  const auto one = [&](const Value& x) { return unsqueeze(x, {0}); };
  const auto least = [&](const Value& a, const Value& b) { return g.op("Min", {a, b}); };
  // A text that is not longer than the window is one block, without keys beside it.
  const Value size = named_length(scope / "size", least(text.length, g.integer(window)));
  const Value blocks = named_length(scope / "blocks", g.op("Div", {text.length + size - g.integer(1), size}));
  const Value all_blocks = named_length(scope / "all_blocks", text.batch * blocks);
  const Value beside = least(blocks - g.integer(1), g.integer(1)) * g.integer(window);
  const Value near = named_length(scope / "near", size + beside * g.integer(2)), total = near + text.most;

  const Value starts = unsqueeze(range(blocks) * size, {1}), last = text.length - g.integer(1);
  const Value row = unsqueeze(text.first_row, {2});
  const auto in_blocks = [&](const Value& x, const Value& width) {
    return reshape(x, concat({one(all_blocks), one(width)}, 0));
  };
  WindowBlocks made;
  made.queries = in_blocks(least(starts + range(size), last) + row, size);

  const Value wanted = starts - beside + range(near);
  const Value found = g.op("Max", {least(wanted, last), g.integer(0)});
  const Value is_local = text.mask - text.is_global;
  const Value near_counts = gather(is_local, found, 1) * cast(equal(wanted, found), DType::i64);
  // Every block of a text has its global tokens: i64[batch, most] -> i64[batch, blocks, most].
  const auto for_each = [&](const Value& x) { return unsqueeze(x, {1}) + (starts - starts); };
  made.keys = in_blocks(concat({found + row, for_each(text.places + text.first_row)}, 2), total);
  made.counts = in_blocks(concat({near_counts, for_each(text.exist)}, 2), total);

  const Value column = range(total);
  const Value distance = g.op("Abs", {column - beside - unsqueeze(range(size), {1})});
  const Value is_seen =
      g.op("Or", {g.op("LessOrEqual", {distance, g.integer(window)}), g.op("GreaterOrEqual", {column, near})});
  constexpr double hidden = -65504;  // the lowest half; no score comes near it
  made.band = where(is_seen, g.scalar(0), g.scalar(hidden));

  const Value padded = blocks * size, all_padded = padded * text.batch;
  const Value own = unsqueeze(range(text.batch), {1});
  const Value local = own * padded + range(text.length);
  const Value global = all_padded + own * text.most + cumulative_sum(text.is_global, 1) - g.integer(1);
  const Value zeros = all_padded + text.most * text.batch;
  made.results =
      where(cast(text.mask, DType::boolean), where(cast(text.is_global, DType::boolean), global, local), zeros);
  return made;
}

/// Attention of a text to itself: x: f[batch, n, width] -> the same, before the layer behind; 0 at padding. Weights:
/// query, key, value, and query_global, key_global, value_global, by which global tokens see.
/// Source: LongformerSelfAttention, transformers 4.57.
inline Value windowed_attention(const Scope& s, const Operand& x, int64_t heads, const GlobalPlaces& text,
                                const WindowBlocks& blocks) {
  Graph& g = x.graph();
  const int64_t width = x.fixed(-1);
  const auto projected = [&](const char* name, const Value& from) { return linear(s / name, from, {.out = width}); };
  const auto rows = [&](const Value& values) { return reshape(values, {-1, width}); };

  const auto at = [&](const char* name, const Value& places) { return gather(rows(projected(name, x)), places); };
  const Value local = attention(at("query", blocks.queries), at("key", blocks.keys), at("value", blocks.keys),
                                {.heads = heads, .bias = blocks.band, .mask = blocks.counts})
                          .mixed;

  const Value seeing = gather(rows(x.in(s)), text.places + text.first_row);
  const Value global = attention(projected("query_global", seeing), projected("key_global", x),
                                 projected("value_global", x), {.heads = heads, .mask = text.mask})
                           .mixed;

  const Value zeros = g.constant<float>(DType::f32, {1, width}, std::vector<float>(static_cast<size_t>(width)));
  return gather(concat({rows(local), rows(global), zeros}, 0), blocks.results).in(s.parent());
}

}  // namespace onnxport::sdk

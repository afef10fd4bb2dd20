// SPDX-License-Identifier: Apache-2.0
// Pegasus-X's attention of an encoder: a token sees its block and a few global tokens, which are learnt and no part of
// the text; these see all. Source: PegasusXGlobalLocalAttention and PegasusXEncoderLayer, transformers 5.24.
#pragma once

#include <onnxport/blocks/layer.hpp>

namespace bart {

using namespace onnxport::sdk;

struct GlobalLocal {
  int64_t heads, head_size;
  int64_t block;   ///< tokens of a block
  int64_t global;  ///< global tokens

  int64_t width() const { return heads * head_size; }
};

/// A text cut into blocks, the first of which may begin before it. Places beyond the text are those of its ends.
struct TextBlocks {
  Value places;   ///< i64[blocks, block]
  Value counts;   ///< i64[batch·blocks, global + block]: 1 where a key counts
  Value results;  ///< i64[batch, n]: where the blocks' results have each token
  Value seen;     ///< i64[batch, global + n]: what global tokens see
};
/// mask: i64[batch, n]; `before`: how many places before the text the first block begins.
inline TextBlocks text_blocks(const Scope& scope, const Value& mask, const GlobalLocal& form, int64_t before) {
  Graph& g = scope.graph();
  const Value text = mask.in(scope), length = size_of(text, 1), last = length - g.integer(1);
  const Value size = g.integer(form.block);
  const Value blocks = size_of(range(g.op("Div", {last + g.integer(before + form.block), size})), 0);
  const Value wanted = unsqueeze(range(blocks) * size, {1}) + range(size) - g.integer(before);
  TextBlocks made;
  made.places = g.op("Max", {g.op("Min", {wanted, last}), g.integer(0)});
  const Value batch = unsqueeze(range(size_of(text, 0)), {1});
  made.results = batch * (blocks * size) + range(length) + g.integer(before);

  const Value globals =
      batch * g.integer(0) +
      g.constant<int64_t>(DType::i64, {1, form.global}, std::vector<int64_t>(static_cast<size_t>(form.global), 1));
  made.seen = concat({globals, text}, 1);
  const Value near = gather(text, made.places, 1) * cast(equal(wanted, made.places), DType::i64);
  const Value each_block = gather(unsqueeze(globals, {1}), range(blocks) * g.integer(0), 1);
  made.counts = reshape(concat({each_block, near}, 2), {-1, form.global + form.block});
  return made;
}

/// The text's tokens and the global ones: f[batch, n, width], f[batch, global, width].
struct TextAndGlobal {
  Value text, global;
};
/// What the module makes of both. Weights: q_proj, k_proj, v_proj, out_proj, without biases.
inline TextAndGlobal global_local_attention(const Scope& s, const TextAndGlobal& x, const TextBlocks& blocks,
                                            const GlobalLocal& form) {
  Graph& g = s.graph();
  const int64_t width = form.width();
  const auto made = [&](const char* name, const Value& of) {
    return linear(s / name, of, {.out = width, .bias = false});
  };
  const Value key = made("k_proj", x.text), value = made("v_proj", x.text);
  const Value global_key = made("k_proj", x.global), global_value = made("v_proj", x.global);

  const Value all = attention(made("q_proj", x.global), concat({global_key, key}, 1), concat({global_value, value}, 1),
                              {.heads = form.heads, .mask = blocks.seen})
                        .mixed;

  const auto in_blocks = [&](const Value& global, const Value& near) {
    const Value each = gather(unsqueeze(global, {1}), range(size_of(blocks.places, 0)) * g.integer(0), 1);
    return reshape(concat({each, gather(near, blocks.places, 1)}, 2), {-1, form.global + form.block, width});
  };
  const Value query = reshape(gather(made("q_proj", x.text), blocks.places, 1), {-1, form.block, width});
  const Value mixed = attention(query, in_blocks(global_key, key), in_blocks(global_value, value),
                                {.heads = form.heads, .mask = blocks.counts})
                          .mixed;
  const Value in_order = gather(reshape(mixed, {-1, width}), blocks.results).in(s);
  return {made("out_proj", in_order), made("out_proj", all)};
}

}  // namespace bart

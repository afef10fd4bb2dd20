// SPDX-License-Identifier: Apache-2.0
// Attention: the composite, and ONNX's operator of that name.
#include <fmt/format.h>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/attention_lowering.hpp"
#include "core/operators/masks.hpp"

namespace onnxport::ir {
namespace {

/// Queries, keys or values of an attention, which come as f[batch, n, heads·d] or f[batch, heads, n, d].
struct Heads {
  Dim batch, length;
  int64_t width;
};

Heads heads_of(const Inference& x, size_t input, int64_t count) {
  const Shape& shape = x.shape(input);
  if (shape.size() == 4) {
    require_same(shape[1], Dim(count), "the number of heads");
    if (!shape[3].is_static()) refuse(fmt::format("input {} has heads of an unknown width", input));
    return {shape[0], shape[2], shape[3].size()};
  }
  if (shape.size() != 3) refuse(fmt::format("input {} must be of rank 3, or 4 with its heads apart", input));
  const auto size = shape[2].maybe_size();
  if (!size || *size % count != 0) refuse(fmt::format("input {} does not divide into {} heads", input, count));
  return {shape[0], shape[1], *size / count};
}

/// Both of a pair, or neither of them.
bool has_pair(const Inference& x, size_t first, const char* what) {
  if (x.has(first) != x.has(first + 1)) refuse(fmt::format("{} are two inputs, of which one is given", what));
  return x.has(first);
}

/// One of the two halves of a cache: f[batch, kv_heads, past, width]. Yields past.
Dim past_length(const Inference& x, size_t input, const Heads& fresh, int64_t kv_heads) {
  require_rank(x, input, 4);
  require_same_dtype(x, 0, input);
  const Shape& past = x.shape(input);
  require_same(past[0], fresh.batch, "the batch of the past");
  require_same(past[1], Dim(kv_heads), "the number of the past's heads");
  require_same(past[3], Dim(fresh.width), "the width of the past's heads");
  return past[2];
}

void require_tables(const Inference& x, const Heads& q, const Heads& k) {
  require_same(q.length, k.length, "the lengths of what is turned");
  for (size_t i : {AttentionInput::cosines, AttentionInput::sines}) {
    require_rank(x, i, 3);
    require_same_dtype(x, 0, i);
    require_same(x.shape(i)[1], q.length, "the length of the angles");
  }
  const auto half = x.shape(AttentionInput::cosines)[2].maybe_size();
  if (!half || 2 * *half > q.width) refuse("its angles are for wider heads than it has");
}

void infer_attention(Inference& x) {
  const int64_t heads = x.node.integer("heads", 0), kv_heads = x.node.integer("kv_heads", heads);
  if (heads <= 0 || kv_heads <= 0 || heads % kv_heads != 0)
    refuse(fmt::format("{} heads over {} kv heads", heads, kv_heads));
  window_of(x);
  const Heads q = heads_of(x, AttentionInput::q, heads), k = heads_of(x, AttentionInput::k, kv_heads),
              v = heads_of(x, AttentionInput::v, kv_heads);
  if (q.width != k.width) refuse("queries and keys have different head sizes");
  require_same(k.length, v.length, "the length of keys and values");
  Dim total = k.length;
  if (has_pair(x, AttentionInput::past_key, "past keys and values")) {
    const Dim past = past_length(x, AttentionInput::past_key, k, kv_heads);
    require_same(past_length(x, AttentionInput::past_value, v, kv_heads), past, "the length of the past's values");
    total = past + k.length;
  }
  if (has_pair(x, AttentionInput::cosines, "cosines and sines")) require_tables(x, q, k);
  const Shape scores{q.batch, Dim(heads), q.length, total};
  if (x.has(AttentionInput::bias) && !(broadcast(x.shape(AttentionInput::bias), scores) == scores))
    refuse("its bias does not broadcast to " + to_string(scores));
  if (x.has(AttentionInput::mask)) {
    require_rank(x, AttentionInput::mask, 2);
    if (dtype_of(x, AttentionInput::mask) != DType::i64) refuse("its mask must be i64");
    require_same(x.shape(AttentionInput::mask)[1], total, "the length of its mask");
  }
  if (x.has(AttentionInput::sinks)) {
    require_rank(x, AttentionInput::sinks, 1);
    require_same(x.shape(AttentionInput::sinks)[0], Dim(heads), "the number of its sinks");
  }
  const bool present = x.node.integer("present", 0) != 0;
  const size_t least = present ? 3 : 1;
  if (x.results.size() < least || x.results.size() > least + 1)
    refuse(
        fmt::format("yields {} results, or {} with its probabilities, and not {}", least, least + 1, x.results.size()));
  set(x, dtype_of(x), {q.batch, q.length, Dim(heads * v.width)});
  if (present) {
    set(x, dtype_of(x), {k.batch, Dim(kv_heads), total, Dim(k.width)}, 1);
    set(x, dtype_of(x), {k.batch, Dim(kv_heads), total, Dim(v.width)}, 2);
  }
  if (x.results.size() > least) set(x, dtype_of(x), scores, least);
}

// ------------------------------------------------------------------- ONNX's operator, which lowering yields

void infer_onnx_attention(Inference& x) {
  const int64_t heads = x.node.integer("q_num_heads", 0), kv_heads = x.node.integer("kv_num_heads", 0);
  if (heads <= 0 || kv_heads <= 0) refuse("needs q_num_heads and kv_num_heads");
  const Shape &q = x.shape(0), &k = x.shape(1), &v = x.shape(2);
  if (q.size() == 4)
    set(x, dtype_of(x), {q[0], q[1], q[2], v.at(3)});
  else
    set(x, dtype_of(x), {q.at(0), q.at(1), Dim(v.at(2).size() / kv_heads * heads)});
  if (x.results.size() == 1) return;
  if (x.results.size() != 3 || !has_pair(x, 4, "past keys and values"))
    refuse("present keys and values are two results beside the mixed ones, made of a past");
  for (size_t i : {1, 2}) {
    Shape present = x.shape(3 + i);
    present.at(2) = present.at(2) + x.shape(i).at(k.size() == 4 ? 2 : 1);
    set(x, dtype_of(x), std::move(present), i);
  }
}

}  // namespace

const std::vector<Operator>& attention_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "Attention",
       .inputs = {3, 10},
       .max_outputs = 4,
       .infer = infer_attention,
       .attributes = {{"heads", integer},
                      {"kv_heads", integer, "as `heads`"},
                      {"scale", real, "1/√d"},
                      {"softcap", real, "0"},
                      {"causal", integer, "0"},
                      {"window", integer, "0"},
                      {"interleaved", integer, "0"},
                      {"present", integer, "0"}},
       .lowering = {{lower_attention}},
       // What is added to the scores is in f32. Its mask hides values and does not become one. The scores are of the
       // type in every opset: the operator of opset 23 has them so as well.
       .precision = {.wide_inputs = {AttentionInput::bias, AttentionInput::sinks},
                     .beyond = Precision::Beyond::never,
                     .opens_below = every_opset},
       .documentation = {"see below", "see below"}},
      {.name = "Attention",
       .inputs = {3, 6},
       .max_outputs = 3,
       .infer = infer_onnx_attention,
       .attributes = {{"q_num_heads", integer},
                      {"kv_num_heads", integer},
                      {"scale", real},
                      {"is_causal", integer},
                      {"softcap", real},
                      {"qk_matmul_output_mode", integer},
                      {"softmax_precision", integer}},
       .documentation = {.inputs = "q, k, v, [bias], [past key], [past value]", .made_from = "Attention"}},
  };
  return rows;
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
#include "core/ir/operators.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

// -------------------------------------------------------------------------------------------- attention

void infer_attention_mask(Inference& x) {
  require_rank(x, 0, 2);
  const bool causal = x.node.integer("causal", 0) != 0;
  if (causal && !x.has(1)) refuse("a causal mask needs to know the queries");
  if (x.node.integer("window", 0) != 0 && !causal) refuse("a window is for causal masks");
  const Shape& mask = x.shape(0);
  set(x, DType::f32, {mask[0], Dim(1), causal ? x.shape(1).at(1) : Dim(1), mask[1]});
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

void infer_attention(Inference& x) {
  const int64_t heads = x.node.integer("heads", 0), kv_heads = x.node.integer("kv_heads", heads);
  if (heads <= 0 || kv_heads <= 0 || heads % kv_heads != 0)
    refuse(fmt::format("{} heads over {} kv heads", heads, kv_heads));
  const Heads q = heads_of(x, 0, heads), k = heads_of(x, 1, kv_heads), v = heads_of(x, 2, kv_heads);
  if (q.width != k.width) refuse("queries and keys have different head sizes");
  require_same(k.length, v.length, "the length of keys and values");
  const Shape scores{q.batch, Dim(heads), q.length, k.length};
  if (x.has(3) && !(broadcast(x.shape(3), scores) == scores))
    refuse("its bias does not broadcast to " + to_string(scores));
  set(x, dtype_of(x), {q.batch, q.length, Dim(heads * v.width)});
  if (x.results.size() > 1) set(x, dtype_of(x), scores, 1);
}

void infer_rotary_embedding(Inference& x) {
  require_rank(x, 0, 4);
  for (size_t i : {1, 2}) {
    require_rank(x, i, 3);
    require_same_dtype(x, 0, i);
    require_same(x.shape(i)[1], x.shape(0)[2], "the length of the angles");
  }
  const auto half = x.shape(1)[2].maybe_size(), width = x.shape(0)[3].maybe_size();
  if (!half || !width || 2 * *half > *width) refuse("its angles are for wider heads than it has");
  infer_float(x);
}

void infer_split_heads(Inference& x) {
  require_rank(x, 0, 3);
  const int64_t heads = x.node.integer("heads", 0);
  const auto width = x.shape(0)[2].maybe_size();
  if (heads <= 0 || !width || *width % heads != 0) refuse(fmt::format("does not divide into {} heads", heads));
  set(x, dtype_of(x), {x.shape(0)[0], Dim(heads), x.shape(0)[1], Dim(*width / heads)});
}

void infer_merge_heads(Inference& x) {
  require_rank(x, 0, 4);
  const Shape& from = x.shape(0);
  set(x, dtype_of(x), {from[0], from[2], from[1] * from[3]});
}

// ------------------------------------------------------------- ONNX's fused operators, which lowering yields

void infer_onnx_attention(Inference& x) {
  const int64_t heads = x.node.integer("q_num_heads", 0), kv_heads = x.node.integer("kv_num_heads", 0);
  if (heads <= 0 || kv_heads <= 0) refuse("needs q_num_heads and kv_num_heads");
  const Shape& q = x.shape(0);
  if (q.size() == 4)
    set(x, dtype_of(x), {q[0], q[1], q[2], x.shape(2).at(3)});
  else
    set(x, dtype_of(x), {q.at(0), q.at(1), Dim(x.shape(2).at(2).size() / kv_heads * heads)});
}

// -------------------------------------------------------------------------------------------- the table

const std::vector<Operator>& attention_operators() {
  using enum AttributeKind;
  static const std::vector<AttributeSpec> attention{
      {"heads", integer}, {"kv_heads", integer}, {"scale", real}, {"causal", integer}, {"softcap", real}};
  static const std::vector<AttributeSpec> onnx_attention{
      {"q_num_heads", integer},      {"kv_num_heads", integer}, {"scale", real},
      {"is_causal", integer},        {"softcap", real},         {"qk_matmul_output_mode", integer},
      {"softmax_precision", integer}};
  static const std::vector<Operator> rows{
      {composite_domain, "AttentionMask", 1, 2, 1, infer_attention_mask, {{"causal", integer}, {"window", integer}}},
      {composite_domain, "CausalMask", 1, 2, 1, infer_causal_mask},
      {composite_domain, "Attention", 3, 4, 2, infer_attention, attention},
      {composite_domain, "RotaryEmbedding", 3, 3, 1, infer_rotary_embedding, {{"interleaved", integer}}},
      {composite_domain, "SplitHeads", 1, 1, 1, infer_split_heads, {{"heads", integer}}},
      {composite_domain, "MergeHeads", 1, 1, 1, infer_merge_heads},
      {"", "Attention", 3, 4, 1, infer_onnx_attention, onnx_attention},
  };
  return rows;
}

std::vector<Operator> make_table() {
  std::vector<Operator> rows;
  for (const std::vector<Operator>* area : {&elementwise_operators(), &layout_operators(), &reduction_operators(),
                                            &linear_operators(), &attention_operators(), &image_operators()}) {
    rows.insert(rows.end(), area->begin(), area->end());
  }
  std::sort(rows.begin(), rows.end(), [](const Operator& a, const Operator& b) {
    return std::tie(a.domain, a.name) < std::tie(b.domain, b.name);
  });
  return rows;
}

}  // namespace

const std::vector<Operator>& operators() {
  static const std::vector<Operator> table = make_table();
  return table;
}

const Operator* find_operator(std::string_view domain, std::string_view name) {
  const auto& table = operators();
  const auto found =
      std::lower_bound(table.begin(), table.end(), std::tie(domain, name),
                       [](const Operator& row, const auto& key) { return std::tie(row.domain, row.name) < key; });
  return found != table.end() && found->domain == domain && found->name == name ? &*found : nullptr;
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()), Dim(1));
  for (size_t i = 0; i < shape.size(); ++i) {
    const Dim one(1);
    const Dim& left = i < a.size() ? a[a.size() - 1 - i] : one;
    const Dim& right = i < b.size() ? b[b.size() - 1 - i] : one;
    Dim& out = shape[shape.size() - 1 - i];
    if (left == right || right == one)
      out = left;
    else if (left == one)
      out = right;
    else
      refuse(fmt::format("{} and {} do not broadcast: {} is not {}", to_string(a), to_string(b), left.to_string(),
                         right.to_string()));
  }
  return shape;
}

}  // namespace onnxport::ir

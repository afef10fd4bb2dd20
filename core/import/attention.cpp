// SPDX-License-Identifier: Apache-2.0
// Attention as torch has it in one operator, and its layers for inference, by products and a softmax.
#include <fmt/format.h>

#include <cmath>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::script {
namespace {

/// Flags of what counts as what is added to scores.
ValueId added(Call& call, ValueId flags, DType dtype) {
  return call.op("Where", {flags, call.scalar(0, dtype), call.scalar(ir::masked_score, dtype)});
}

struct Heads {
  ValueId q, k, v;
  ValueId mask = ir::absent;  // added to the scores
  double scale = 1;
};

ValueId attended(Call& call, const Heads& heads) {
  ValueId scores = call.op(
      "MatMul", {call.op("Mul", {heads.q, call.scalar(heads.scale, call.dtype(heads.q))}), call.turned(heads.k)});
  if (heads.mask != ir::absent) scores = call.op("Add", {scores, heads.mask});
  return call.op("MatMul", {call.op("Softmax", {scores}, {{"axis", int64_t{-1}}}), heads.v});
}

/// Where a key is not behind its query: both count from the beginning.
ValueId causal(Call& call, ValueId q, ValueId k) {
  const auto places = [&](ValueId x) { return counted(call, call.size_of_axis(x, call.rank(x) - 2)); };
  return call.op("LessOrEqual", {places(k), call.unsqueeze(places(q), {1})});
}

double usual_scale(Call& call, ValueId q) {
  const auto width = call.shape(q).back().maybe_size();
  if (!width) call.refuse("has heads of a width that the run alone knows");
  return 1 / std::sqrt(static_cast<double>(*width));
}

/// scaled_dot_product_attention(q, k, v, mask, dropout, is_causal, scale, enable_gqa)
Items scaled_dot_product(Call& call) {
  Heads heads{call.tensor(0), call.tensor(1), call.tensor(2)};
  const DType dtype = call.dtype(heads.q);
  if (call.flag(7, false)) {
    const Dim &queries = call.shape(heads.q).at(1), &keys = call.shape(heads.k).at(1);
    if (!queries.is_static() || !keys.is_static()) call.refuse("has numbers of heads that the run alone knows");
    const int64_t times = queries.size() / keys.size();
    for (ValueId* one : {&heads.k, &heads.v}) {
      if (times == 1) continue;
      std::vector<Integer> to = call.sizes_of(*one);
      to[1] = {queries};
      *one = call.reshape(
          call.expand(call.unsqueeze(*one, {2}), {{Dim(-1)}, {Dim(-1)}, {Dim(times)}, {Dim(-1)}, {Dim(-1)}}), to);
    }
  }
  heads.scale = call.has(6) ? call.number(6) : usual_scale(call, heads.q);
  if (call.has(3)) {
    const ValueId mask = call.tensor(3);
    heads.mask = call.dtype(mask) == DType::boolean ? added(call, mask, dtype) : call.cast(mask, dtype);
  }
  if (call.flag(5, false)) heads.mask = added(call, causal(call, heads.q, heads.k), dtype);
  return {Tensor{attended(call, heads)}};
}

ValueId linear(Call& call, ValueId x, size_t weight, size_t bias) {
  std::vector<ValueId> inputs{x, call.tensor(weight)};
  if (call.has(bias)) inputs.push_back(call.tensor(bias));
  return call.composite("Linear", inputs);
}

/// The places of what a layer of torch.nn.MultiheadAttention is called with.
struct Layer {
  size_t heads, in_weight, in_bias, out_weight, out_bias, mask, mask_type;
};

/// Which keys count, from a mask that is true where one does not: of keys (type 1) or of pairs (0).
ValueId layer_mask(Call& call, const Layer& at, DType dtype) {
  if (!call.has(at.mask)) return ir::absent;
  ValueId mask = call.tensor(at.mask);
  const int64_t type = call.integer(at.mask_type, call.rank(mask) == 2 ? 0 : 1);
  if (type == 1) mask = call.unsqueeze(mask, {1, 2});
  if (call.dtype(mask) != DType::boolean) return call.cast(mask, dtype);
  return call.op("Where", {mask, call.scalar(ir::masked_score, dtype), call.scalar(0, dtype)});
}

ValueId self_attention(Call& call, ValueId x, const Layer& at) {
  const Dim width = call.shape(x).back();
  if (call.rank(x) != 3 || !width.is_static()) call.refuse("is known of f[batch, length, width]");
  const int64_t heads = call.integer(at.heads), size = width.size() / heads;
  const ValueId all = linear(call, x, at.in_weight, at.in_bias);
  const auto parts = call.ops("", "Split", {all}, {{"axis", int64_t{2}}, {"split", Ints(3, width.size())}}, 3);
  const auto apart = [&](ValueId part) { return call.composite("SplitHeads", {part}, {{"heads", heads}}); };
  const Heads own{apart(parts[0]), apart(parts[1]), apart(parts[2]), layer_mask(call, at, call.dtype(x)),
                  1 / std::sqrt(static_cast<double>(size))};
  return linear(call, call.composite("MergeHeads", {attended(call, own)}), at.out_weight, at.out_bias);
}

/// _native_multi_head_attention(q, k, v, width, heads, in_weight, in_bias, out_weight, out_bias, mask, …)
Items multi_head_attention(Call& call) {
  if (call.tensor(0) != call.tensor(1) || call.tensor(0) != call.tensor(2))
    call.refuse("is known of self-attention alone");
  return {Tensor{self_attention(call, call.tensor(0), {4, 5, 6, 7, 8, 9, 12})}, Item()};
}

ValueId normalised(Call& call, ValueId x, size_t epsilon, size_t weight) {
  return call.composite("LayerNorm", {x, call.tensor(weight), call.tensor(weight + 1)},
                        {{"epsilon", call.number(epsilon)}});
}

/// _transformer_encoder_layer_fwd(x, width, heads, in_weight, in_bias, out_weight, out_bias, use_gelu, norm_first,
/// epsilon, norm1 weight and bias, norm2 weight and bias, weights and biases of the two linear layers, mask, mask_type)
Items encoder_layer(Call& call) {
  ValueId x = call.tensor(0);
  const bool norm_first = call.flag(8);
  const auto attention = [&](ValueId of) { return self_attention(call, of, {2, 3, 4, 5, 6, 18, 19}); };
  const auto forward = [&](ValueId of) {
    const ValueId inner = linear(call, of, 14, 15);
    return linear(call, call.flag(7) ? call.composite("Gelu", {inner}) : call.op("Relu", {inner}), 16, 17);
  };
  if (norm_first) {
    x = call.op("Add", {x, attention(normalised(call, x, 9, 10))});
    return {Tensor{call.op("Add", {x, forward(normalised(call, x, 9, 12))})}};
  }
  x = normalised(call, call.op("Add", {x, attention(x)}), 9, 10);
  return {Tensor{normalised(call, call.op("Add", {x, forward(x)}), 9, 12)}};
}

}  // namespace

const std::vector<Row>& attention_rows() {
  static const std::vector<Row> rows{
      {"aten::scaled_dot_product_attention", scaled_dot_product},
      {"aten::_native_multi_head_attention", multi_head_attention},
      {"aten::_transformer_encoder_layer_fwd", encoder_layer},
  };
  return rows;
}

}  // namespace onnxport::script

// SPDX-License-Identifier: Apache-2.0
// The lowering rules: one function a composite, and one an operator that an opset lacks.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;

constexpr int64_t to_end = std::numeric_limits<int64_t>::max();

// ------------------------------------------------------------------------------------------------ linear

/// MatMul with the weight turned while it is written. Where the same tensor is needed in its stored layout too (a head
/// that is tied to the embedding), Gemm reads that instead, so that it is in the file once.
///
///   x ─ MatMul(weightᵀ) ─ Add(bias)            x ─ Reshape[-1, in] ─ Gemm(transB) ─ Reshape[..., out]
Results linear(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const ir::Value stored = b.value(weight);
  const size_t rank = b.shape(x).size();
  const bool as_stored = b.stored_layout_needed(weight), turnable = stored.origin == ir::Origin::weight && !as_stored;
  if (rank == 2 || as_stored) {
    const int64_t in = b.shape(weight)[1].size(), out = b.shape(weight)[0].size();
    Results inputs{rank == 2 ? x : b.reshape(x, {-1, in}), weight};
    if (bias != ir::absent) inputs.push_back(bias);
    const ValueId y = b.op("Gemm", inputs, {{"transB", int64_t{1}}});
    if (rank == 2) return {y};
    if (rank == 3 && b.shape(x)[1].is_static()) return {b.reshape(y, {-1, b.shape(x)[1].size(), out})};
    Results dims;
    for (size_t axis = 0; axis + 1 < rank; ++axis) dims.push_back(b.length(x, axis));
    dims.push_back(b.integers({out}));
    return {b.op("Reshape", {y, b.op("Concat", dims, {{"axis", int64_t{0}}})})};
  }
  const ValueId turned = turnable ? b.graph().add_weight(stored.name, stored.weight->then(TransposeMatrix{}))
                                  : b.transpose(weight, {1, 0});
  const ValueId y = b.op("MatMul", {x, turned});
  return {bias == ir::absent ? y : b.op("Add", {y, bias})};
}

Results embedding(Builder& b) {
  return {b.op("Gather", {b.node().input(0), b.node().input(1)}, {{"axis", int64_t{0}}})};
}

/// A row that is known when the graph is built is a view of the weight; nothing is left to be run.
Results gather(Builder& b) {
  const ir::Node& node = b.node();
  const ir::Value table = b.value(node.input(0)), index = b.value(node.input(1));
  const bool known = table.origin == ir::Origin::weight && index.origin == ir::Origin::constant &&
                     index.type.shape.empty() && index.type.dtype == ir::DType::i64 && node.integer("axis", 0) == 0;
  if (!known) return b.graph().add_node({"", "Gather", node.scope, node.inputs, {}, node.attributes, ""});
  std::vector<int64_t> shape = table.weight->shape();
  const int64_t at = index.constant->as<int64_t>()[0], row = at < 0 ? at + shape.at(0) : at;
  shape.erase(shape.begin());
  return {b.graph().add_weight(table.name, table.weight->then(SliceAxis{0, row, row + 1}).then(ReshapeTo{shape}))};
}

// ----------------------------------------------------------------------------------------- normalisation

/// LayerNormalization from opset 17; below that ((x - mean) / √(mean((x - mean)²) + ε)) · weight + bias.
Results layer_norm(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const double epsilon = b.node().real("epsilon", 1e-5);
  if (b.opset() >= 17) {
    Results inputs{x, weight};
    if (bias != ir::absent) inputs.push_back(bias);
    return {b.op("LayerNormalization", inputs, {{"axis", int64_t{-1}}, {"epsilon", epsilon}})};
  }
  const ir::Attributes last{{"axes", std::vector<int64_t>{-1}}};
  const ValueId centred = b.op("Sub", {x, b.op("ReduceMean", {x}, last)});
  const ValueId square = b.op("Pow", {centred, b.scalar(2.0, b.dtype(x))});
  const ValueId deviation =
      b.op("Sqrt", {b.op("Add", {b.op("ReduceMean", {square}, last), b.scalar(epsilon, b.dtype(x))})});
  ValueId y = b.op("Mul", {b.op("Div", {centred, deviation}), weight});
  if (bias != ir::absent) y = b.op("Add", {y, bias});
  return {y};
}

/// RMSNormalization from opset 23; below that x / √(mean(x²) + ε) · weight.
Results rms_norm(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1);
  const double epsilon = b.node().real("epsilon", 1e-6);
  if (b.opset() >= 23) return {b.op("RMSNormalization", {x, weight}, {{"axis", int64_t{-1}}, {"epsilon", epsilon}})};
  const ValueId mean =
      b.op("ReduceMean", {b.op("Pow", {x, b.scalar(2.0, b.dtype(x))})}, {{"axes", std::vector<int64_t>{-1}}});
  const ValueId root = b.op("Sqrt", {b.op("Add", {mean, b.scalar(epsilon, b.dtype(x))})});
  return {b.op("Mul", {b.op("Div", {x, root}), weight})};
}

// ------------------------------------------------------------------------------------------- activations

Results gelu(Builder& b) {
  const ValueId x = b.node().input(0);
  const std::string how = b.node().text("approximate", "none");
  const auto number = [&](double value) { return b.scalar(value, b.dtype(x)); };
  if (how == "quick") return {b.op("Mul", {x, b.op("Sigmoid", {b.op("Mul", {x, number(1.702)})})})};
  if (how != "none" && how != "tanh") throw Error(Failure::plugin, fmt::format("Gelu has no form '{}'", how));
  if (b.opset() >= 20) return {b.op("Gelu", {x}, {{"approximate", how}})};
  if (how == "none") {
    const ValueId erf = b.op("Erf", {b.op("Div", {x, number(std::sqrt(2.0))})});
    return {b.op("Mul", {b.op("Mul", {x, b.op("Add", {erf, number(1.0)})}), number(0.5)})};
  }
  const ValueId cube = b.op("Pow", {x, number(3.0)});
  const ValueId inner =
      b.op("Mul", {b.op("Add", {x, b.op("Mul", {cube, number(0.044715)})}), number(std::sqrt(2.0 / M_PI))});
  return {b.op("Mul", {b.op("Mul", {x, number(0.5)}), b.op("Add", {b.op("Tanh", {inner}), number(1.0)})})};
}

Results silu(Builder& b) {
  return {b.op("Mul", {b.node().input(0), b.op("Sigmoid", {b.node().input(0)})})};
}

Results mish(Builder& b) {
  const ValueId x = b.node().input(0);
  return {b.op("Mul", {x, b.op("Tanh", {b.op("Softplus", {x})})})};
}

/// x · min(max(x/6 + 1/2, 0), 1)
Results hard_swish(Builder& b) {
  const ValueId x = b.node().input(0);
  return {b.op("Mul", {x, b.op("HardSigmoid", {x}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}})})};
}

// ------------------------------------------------------------------------------------------------ shapes

Results size(Builder& b) {
  const ValueId x = b.node().input(0);
  const auto rank = static_cast<int64_t>(b.shape(x).size());
  const int64_t axis = b.node().integer("axis", 0);
  const auto at = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  if (b.shape(x)[at].is_static()) return {b.integer(b.shape(x)[at].size())};
  return {b.op("Squeeze", {b.length(x, at)}, {{"axes", std::vector<int64_t>{0}}})};
}

/// A part of a shape: constant where it is fixed; Shape has start and end from opset 15, a Slice behind it does before.
Results shape(Builder& b) {
  const ValueId x = b.node().input(0);
  const auto& dims = b.shape(x);
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [rank](int64_t at) { return std::min(std::max<int64_t>(at < 0 ? at + rank : at, 0), rank); };
  const int64_t start = clamp(b.node().integer("start", 0)),
                end = std::max(start, clamp(b.node().integer("end", to_end)));
  std::vector<int64_t> fixed;
  for (int64_t axis = start; axis < end; ++axis) {
    if (!dims[static_cast<size_t>(axis)].is_static()) break;
    fixed.push_back(dims[static_cast<size_t>(axis)].size());
  }
  if (static_cast<int64_t>(fixed.size()) == end - start) return {b.integers(std::move(fixed))};
  const bool whole = start == 0 && end == rank;
  ir::Node plain{"", "Shape", b.node().scope, {x}, {}, {}, ""};
  if (!whole && b.opset() >= 15) plain.attributes = {{"start", start}, {"end", end}};
  const ValueId all = b.graph().add_node(std::move(plain))[0];
  if (whole || b.opset() >= 15) return {all};
  return {b.op("Slice", {all},
               {{"starts", std::vector<int64_t>{start}},
                {"ends", std::vector<int64_t>{end}},
                {"axes", std::vector<int64_t>{0}},
                {"steps", std::vector<int64_t>{1}}})};
}

/// x where j - i ≥ k (upper) or ≤ k (lower), else 0.
Results trilu(Builder& b) {
  const ValueId x = b.node().input(0);
  const size_t rank = b.shape(x).size();
  const auto positions = [&](size_t axis) {
    const ValueId length = b.op("Squeeze", {b.length(x, axis)}, {{"axes", std::vector<int64_t>{0}}});
    return b.op("Range", {b.integer(0), length, b.integer(1)});
  };
  const ValueId rows = b.op("Add", {b.unsqueeze(positions(rank - 2), {1}), b.integer(b.node().integer("k", 0))});
  const ValueId columns = b.unsqueeze(positions(rank - 1), {0});
  const ValueId keep = b.op(b.node().integer("upper", 1) != 0 ? "GreaterOrEqual" : "LessOrEqual", {columns, rows});
  return {b.op("Where", {keep, x, b.scalar(0.0, b.dtype(x))})};
}

constexpr RuleRow rows[] = {
    {ir::composite_domain, "Linear", every_opset, linear},
    {ir::composite_domain, "Embedding", every_opset, embedding},
    {ir::composite_domain, "LayerNorm", every_opset, layer_norm},
    {ir::composite_domain, "RMSNorm", every_opset, rms_norm},
    {ir::composite_domain, "Gelu", every_opset, gelu},
    {ir::composite_domain, "Silu", every_opset, silu},
    {ir::composite_domain, "Size", every_opset, size},
    {"", "Gather", every_opset, gather},
    {"", "Shape", every_opset, shape},
    {"", "Mish", 18, mish},
    {"", "HardSwish", 14, hard_swish},
    {"", "Trilu", 14, trilu},
};

}  // namespace

std::span<const RuleRow> common_rules() {
  return rows;
}

Rule find_rule(const std::string& domain, const std::string& op, int64_t opset) {
  for (const std::span<const RuleRow> field :
       {common_rules(), attention_rules(), selection_rules(), scatter_rules(), window_rules(), resampling_rules(),
        grid_sample_rules(), padding_rules(), channel_norm_rules(), sequence_rules()}) {
    for (const RuleRow& row : field) {
      if (domain == row.domain && op == row.op && opset < row.below) return row.rule;
    }
  }
  return nullptr;
}

}  // namespace onnxport

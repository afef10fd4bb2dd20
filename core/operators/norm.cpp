// SPDX-License-Identifier: Apache-2.0
// The norms of layers, over the last axis.
#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"

namespace onnxport::ir {
namespace {

void infer_norm(Inference& x) {
  for (size_t i = 1; i < x.node.inputs.size(); ++i)
    require_same(x.shape(i).at(0), x.shape(0).back(), "the normalised axis");
  infer_float(x);
}

// ------------------------------------------------------------------------------------------------- lowering

/// LayerNormalization from opset 17; below that ((x - mean) / √(mean((x - mean)²) + ε)) · weight + bias.
Results layer_norm(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const double epsilon = b.node().real("epsilon", 1e-5);
  if (b.opset() >= 17) {
    Results inputs{x, weight};
    if (bias != absent) inputs.push_back(bias);
    return {b.op("LayerNormalization", inputs, {{"axis", int64_t{-1}}, {"epsilon", epsilon}})};
  }
  const Attributes last{{"axes", std::vector<int64_t>{-1}}};
  const ValueId centred = b.op("Sub", {x, b.op("ReduceMean", {x}, last)});
  const ValueId square = b.op("Pow", {centred, b.scalar(2.0, b.dtype(x))});
  const ValueId deviation =
      b.op("Sqrt", {b.op("Add", {b.op("ReduceMean", {square}, last), b.scalar(epsilon, b.dtype(x))})});
  ValueId y = b.op("Mul", {b.op("Div", {centred, deviation}), weight});
  if (bias != absent) y = b.op("Add", {y, bias});
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

}  // namespace

const std::vector<Operator>& norm_operators() {
  using enum AttributeKind;
  static const std::vector<AttributeSpec> onnx{{"axis", integer}, {"epsilon", real}, {"stash_type", integer}};
  // ONNX's norms sum in f32 by themselves (stash_type). Their decompositions do not.
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "LayerNorm",
       .inputs = {2, 3},
       .infer = infer_norm,
       .attributes = {{"epsilon", real, "1e-5"}},
       .lowering = {{layer_norm}},
       .precision = {.wide_below = 17},
       .documentation = {"x, weight: f[n], [bias: f[n]]", "over the last axis; biased variance"}},
      {.domain = composite_domain,
       .name = "RMSNorm",
       .inputs = {2},
       .infer = infer_norm,
       .attributes = {{"epsilon", real, "1e-6"}},
       .lowering = {{rms_norm}},
       .precision = {.wide_below = 23},
       .documentation = {"x, weight: f[n]", "over the last axis; x · rsqrt(mean(x²) + epsilon) · weight"}},
      {.name = "LayerNormalization",
       .inputs = {2, 3},
       .infer = infer_norm,
       .attributes = onnx,
       .documentation = {.inputs = "x, weight: f[n], [bias: f[n]]", .made_from = "LayerNorm"}},
      {.name = "RMSNormalization",
       .inputs = {2},
       .infer = infer_norm,
       .attributes = onnx,
       .documentation = {.inputs = "x, weight: f[n]", .made_from = "RMSNorm"}},
  };
  return rows;
}

}  // namespace onnxport::ir

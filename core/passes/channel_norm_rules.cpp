// SPDX-License-Identifier: Apache-2.0
// The lowering rules of normalisations of channels.
#include "core/ir/scalar.hpp"
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;
using Ints = std::vector<int64_t>;

ir::Attributes epsilon_of(const Builder& b) {
  return {{"epsilon", b.node().real("epsilon", 1e-5)}};
}

/// A normalisation that could not be folded into a convolution before it.
Results batch_norm(Builder& b) {
  return {b.op("BatchNormalization", b.node().inputs, epsilon_of(b))};
}

/// f[count] of one number.
ValueId filled(Builder& b, double number, int64_t count, ir::DType dtype) {
  ir::Tensor one = ir::scalar(number, dtype), all{dtype, {count}, {}};
  for (int64_t i = 0; i < count; ++i) all.data.insert(all.data.end(), one.data.begin(), one.data.end());
  return b.graph().add_constant(std::move(all));
}

Results instance_norm(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const int64_t channels = b.shape(x)[1].size();
  const auto given_or = [&](ValueId value, double number) {
    return value == ir::absent ? filled(b, number, channels, b.dtype(x)) : value;
  };
  return {b.op("InstanceNormalization", {x, given_or(weight, 1), given_or(bias, 0)}, epsilon_of(b))};
}

/// f[c] -> f[c, 1, ...], to meet the channels of a tensor of that rank.
ValueId beside_channels(Builder& b, ValueId weight, size_t rank) {
  Ints shape(rank - 1, 1);
  shape[0] = b.shape(weight)[0].size();
  const ir::Value value = b.value(weight);
  if (value.origin == ir::Origin::weight)
    return b.graph().add_weight(value.name, value.weight->then(ReshapeTo{std::move(shape)}));
  return b.reshape(weight, std::move(shape));
}

/// The shape of a tensor that has it already, but for its layout.
ValueId in_shape_of(Builder& b, ValueId like, ValueId x) {
  Ints shape{0};
  int open = 0;
  for (size_t i = 1; i < b.shape(like).size(); ++i) {
    const ir::Dim& dim = b.shape(like)[i];
    shape.push_back(dim.is_static() ? dim.size() : -1);
    open += dim.is_static() ? 0 : 1;
  }
  return open < 2 ? b.reshape(x, std::move(shape)) : b.op("Reshape", {x, b.op("Shape", {like})});
}

/// A group is a channel of another layout. ONNX's GroupNormalization, of opset 21, says the same and takes twice as
/// long in ONNX Runtime 1.32, where it is a function.
///
///   x ─ Reshape[batch, groups, -1] ─ InstanceNormalization ─ Reshape ─ Mul(weight) ─ Add(bias)
Results group_norm(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const int64_t groups = b.node().integer("groups", 1);
  const size_t rank = b.shape(x).size();
  if (rank > 2 && b.shape(weight)[0] == ir::Dim(groups))
    return {b.op("InstanceNormalization", {x, weight, bias}, epsilon_of(b))};
  const ValueId apart = b.reshape(x, {0, groups, -1});
  const ValueId ones = filled(b, 1, groups, b.dtype(x)), zeros = filled(b, 0, groups, b.dtype(x));
  const ValueId y = in_shape_of(b, x, b.op("InstanceNormalization", {apart, ones, zeros}, epsilon_of(b)));
  return {b.op("Add", {b.op("Mul", {y, beside_channels(b, weight, rank)}), beside_channels(b, bias, rank)})};
}

constexpr RuleRow rows[] = {
    {ir::composite_domain, "BatchNorm", every_opset, batch_norm},
    {ir::composite_domain, "InstanceNorm", every_opset, instance_norm},
    {ir::composite_domain, "GroupNorm", every_opset, group_norm},
};

}  // namespace

std::span<const RuleRow> channel_norm_rules() {
  return rows;
}

}  // namespace onnxport

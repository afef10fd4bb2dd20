// SPDX-License-Identifier: Apache-2.0
// Normalisations of channels, f[batch, channels, ...]: by the statistics of the training, of each channel, of groups.
#include <fmt/format.h>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/ir/scalar.hpp"
#include "core/operators/areas.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

/// Every input behind the first is f[channels].
void require_channels(const Inference& x) {
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  if (x.shape(0).size() < 2) refuse("its input has no axis of channels");
  for (size_t i = 1; i < x.node.inputs.size(); ++i) {
    if (!x.has(i)) continue;
    require_rank(x, i, 1);
    require_same(x.shape(i)[0], x.shape(0)[1], "the channels");
  }
}

void infer_batch_norm(Inference& x) {
  require_channels(x);
  infer_same(x);
}

void infer_instance_norm(Inference& x) {
  require_channels(x);
  if (x.shape(0).size() < 3) refuse("its input has nothing behind its channels");
  if (!x.shape(0)[1].is_static()) refuse("the number of its channels must be known");
  infer_same(x);
}

void infer_group_norm(Inference& x) {
  require_channels(x);
  const int64_t groups = x.node.integer("groups", 0), channels = x.shape(1)[0].maybe_size().value_or(0);
  if (groups < 1 || channels % groups != 0)
    refuse(fmt::format("{} channels do not divide into {} groups", x.shape(1)[0].to_string(), groups));
  infer_same(x);
}

// ------------------------------------------------------------------------------------------------- lowering

Attributes epsilon_of(const Builder& b) {
  return {{"epsilon", b.node().real("epsilon", 1e-5)}};
}

/// A normalisation that could not be folded into a convolution before it.
Results batch_norm(Builder& b) {
  return {b.op("BatchNormalization", b.node().inputs, epsilon_of(b))};
}

/// f[count] of one number.
ValueId filled(Builder& b, double number, int64_t count, DType dtype) {
  Tensor one = scalar(number, dtype), all{dtype, {count}, {}};
  for (int64_t i = 0; i < count; ++i) all.data.insert(all.data.end(), one.data.begin(), one.data.end());
  return b.graph().add_constant(std::move(all));
}

Results instance_norm(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const int64_t channels = b.shape(x)[1].size();
  const auto given_or = [&](ValueId value, double number) {
    return value == absent ? filled(b, number, channels, b.dtype(x)) : value;
  };
  return {b.op("InstanceNormalization", {x, given_or(weight, 1), given_or(bias, 0)}, epsilon_of(b))};
}

/// f[c] -> f[c, 1, ...], to meet the channels of a tensor of that rank.
ValueId beside_channels(Builder& b, ValueId weight, size_t rank) {
  Ints shape(rank - 1, 1);
  shape[0] = b.shape(weight)[0].size();
  const Value value = b.value(weight);
  if (value.origin == Origin::weight)
    return b.graph().add_weight(value.name, value.weight->then(ReshapeTo{std::move(shape)}));
  return b.reshape(weight, std::move(shape));
}

/// The shape of a tensor that has it already, but for its layout.
ValueId in_shape_of(Builder& b, ValueId like, ValueId x) {
  Ints shape{0};
  int open = 0;
  for (size_t i = 1; i < b.shape(like).size(); ++i) {
    const Dim& dim = b.shape(like)[i];
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
  if (rank > 2 && b.shape(weight)[0] == Dim(groups))
    return {b.op("InstanceNormalization", {x, weight, bias}, epsilon_of(b))};
  const ValueId apart = b.reshape(x, {0, groups, -1});
  const ValueId ones = filled(b, 1, groups, b.dtype(x)), zeros = filled(b, 0, groups, b.dtype(x));
  const ValueId y = in_shape_of(b, x, b.op("InstanceNormalization", {apart, ones, zeros}, epsilon_of(b)));
  return {b.op("Add", {b.op("Mul", {y, beside_channels(b, weight, rank)}), beside_channels(b, bias, rank)})};
}

}  // namespace

const std::vector<Operator>& channel_norm_operators() {
  using enum AttributeKind;
  // Sums over whole channels are too long for 16 bits.
  static const Precision wide{.wide_below = every_opset};
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "BatchNorm",
       .inputs = {5},
       .infer = infer_batch_norm,
       .attributes = {{"epsilon", real, "1e-5"}},
       .lowering = {{batch_norm}},
       .precision = {.wide_in_bf16_below = 14},
       .documentation = {"x: f[batch, c, ...], weight, bias, mean, variance: f[c]",
                         "(x - mean) / √(variance + epsilon) · weight + bias for each channel: by the statistics of "
                         "the training"}},
      {.domain = composite_domain,
       .name = "GroupNorm",
       .inputs = {3},
       .infer = infer_group_norm,
       .attributes = {{"groups", integer}, {"epsilon", real, "1e-5"}},
       .lowering = {{group_norm}},
       .precision = wide,
       .documentation = {"x: f[batch, c, ...], weight, bias: f[c]",
                         "by mean and variance of each group of neighbouring channels, then each channel by its "
                         "weight; an InstanceNormalization at every opset, since ONNX's GroupNormalization, of opset "
                         "21, takes twice as long in ONNX Runtime 1.32. In f32 in a 16-bit graph"}},
      {.domain = composite_domain,
       .name = "InstanceNorm",
       .inputs = {1, 3},
       .infer = infer_instance_norm,
       .attributes = {{"epsilon", real, "1e-5"}},
       .lowering = {{instance_norm}},
       .precision = wide,
       .documentation = {"x: f[batch, c, ...], [weight, bias: f[c]]",
                         "by mean and variance of each channel. In f32 in a 16-bit graph"}},
      {.name = "BatchNormalization",
       .inputs = {5},
       .infer = infer_batch_norm,
       .attributes = {{"epsilon", real}},
       .documentation = {.inputs = "x, weight, bias, mean, variance", .made_from = "BatchNorm"}},
      {.name = "InstanceNormalization",
       .inputs = {3},
       .infer = infer_instance_norm,
       .attributes = {{"epsilon", real}},
       .documentation = {.inputs = "x, weight, bias", .made_from = "InstanceNorm"}},
  };
  return rows;
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
// Normalisations.
#include <fmt/format.h>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"
#include "core/ir/scalar.hpp"

namespace onnxport::script {
namespace {

/// f[length] of one number.
ValueId filled(Call& call, double number, int64_t length, DType dtype) {
  const ir::Tensor one = ir::scalar(number, dtype);
  ir::Tensor all{dtype, {length}, {}};
  for (int64_t i = 0; i < length; ++i) all.data.insert(all.data.end(), one.data.begin(), one.data.end());
  return call.graph().add_constant(std::move(all));
}

/// A weight that is given, or one that changes nothing.
ValueId given_or(Call& call, size_t index, double number, int64_t length) {
  if (call.has(index)) return call.tensor(index);
  return filled(call, number, length, call.dtype(call.tensor(0)));
}

/// Over the last axes, which become one where they are several.
Items layer_norm(Call& call) {
  ValueId x = call.tensor(0);
  const Ints shape = call.integers(1);
  int64_t length = 1;
  for (int64_t size : shape) length *= size;
  const auto epsilon = ir::Attributes{{"epsilon", call.number(4, 1e-5)}};
  ValueId weight = given_or(call, 2, 1, length), bias = given_or(call, 3, 0, length);
  if (shape.size() == 1) {
    std::vector<ValueId> inputs{x, weight};
    if (call.has(3)) inputs.push_back(bias);
    return {Tensor{call.composite("LayerNorm", inputs, epsilon)}};
  }
  std::vector<Integer> whole = call.sizes_of(x);
  std::vector<Integer> joined(whole.begin(), whole.end() - static_cast<std::ptrdiff_t>(shape.size()));
  joined.push_back({Dim(length)});
  weight = call.reshape(weight, {{Dim(length)}});
  bias = call.reshape(bias, {{Dim(length)}});
  return {Tensor{call.reshape(call.composite("LayerNorm", {call.reshape(x, joined), weight, bias}, epsilon), whole)}};
}

Items rms_norm(Call& call) {
  const ValueId x = call.tensor(0);
  const Ints shape = call.integers(1);
  if (shape.size() != 1) call.refuse("is known over the last axis alone");
  const double usual = 1.1920928955078125e-07;  // of f32, where none is told
  return {Tensor{call.composite("RMSNorm", {x, given_or(call, 2, 1, shape[0])}, {{"epsilon", call.number(3, usual)}})}};
}

int64_t channels_of(Call& call, ValueId x) {
  const auto channels = call.rank(x) > 1 ? call.shape(x)[1].maybe_size() : std::nullopt;
  if (!channels) call.refuse("needs a number of channels that is known", "give that axis its size in --input");
  return *channels;
}

/// batch_norm(x, weight, bias, mean, variance, training, momentum, epsilon, cudnn)
Items batch_norm(Call& call) {
  const ValueId x = call.tensor(0);
  if (call.flag(5, false)) call.refuse("is in training", "make the module in eval(): model.eval()");
  const int64_t channels = channels_of(call, x);
  return {Tensor{call.composite(
      "BatchNorm", {x, given_or(call, 1, 1, channels), given_or(call, 2, 0, channels), call.tensor(3), call.tensor(4)},
      {{"epsilon", call.number(7, 1e-5)}})}};
}

/// instance_norm(x, weight, bias, mean, variance, use_input_stats, momentum, epsilon, cudnn)
Items instance_norm(Call& call) {
  const ValueId x = call.tensor(0);
  const int64_t channels = channels_of(call, x);
  const ValueId weight = given_or(call, 1, 1, channels), bias = given_or(call, 2, 0, channels);
  const ir::Attributes epsilon{{"epsilon", call.number(7, 1e-5)}};
  if (!call.flag(5, true))
    return {Tensor{call.composite("BatchNorm", {x, weight, bias, call.tensor(3), call.tensor(4)}, epsilon)}};
  return {Tensor{call.composite("InstanceNorm", {x, weight, bias}, epsilon)}};
}

/// group_norm(x, groups, weight, bias, epsilon, cudnn)
Items group_norm(Call& call) {
  const ValueId x = call.tensor(0);
  const int64_t channels = channels_of(call, x);
  return {Tensor{call.composite("GroupNorm", {x, given_or(call, 2, 1, channels), given_or(call, 3, 0, channels)},
                                {{"groups", call.integer(1)}, {"epsilon", call.number(4, 1e-5)}})}};
}

/// A weight's direction times its length, for each entry of an axis: v · g / |v|.
Items weight_norm(Call& call) {
  const ValueId v = call.tensor(0), g = call.tensor(1);
  const size_t kept = static_cast<size_t>(call.axis_of(v, 2));
  Ints axes;
  for (size_t axis = 0; axis < call.rank(v); ++axis) {
    if (axis != kept) axes.push_back(static_cast<int64_t>(axis));
  }
  const ValueId length = call.op("ReduceL2", {v}, {{"axes", axes}, {"keepdims", int64_t{1}}});
  return {Tensor{call.op("Mul", {v, call.op("Div", {g, length})})}, Tensor{length}};
}

}  // namespace

const std::vector<Row>& norm_rows() {
  static const std::vector<Row> rows{
      {"aten::layer_norm", layer_norm},
      {"aten::native_layer_norm", layer_norm},
      {"aten::rms_norm", rms_norm},
      {"aten::_weight_norm", weight_norm},
      {"aten::_weight_norm_interface", weight_norm},
      {"aten::batch_norm", batch_norm},
      {"aten::instance_norm", instance_norm},
      {"aten::group_norm", group_norm},
  };
  return rows;
}

}  // namespace onnxport::script

// SPDX-License-Identifier: Apache-2.0
// Activations, and what a network does in training alone.
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

Items relu(Call& call) {
  const ValueId x = call.tensor(0);
  if (!ir::is_floating(call.dtype(x))) return {Tensor{call.op("Max", {x, call.scalar(0, call.dtype(x))})}};
  return {Tensor{call.op("Relu", {x})}};
}

Items relu6(Call& call) {
  return {Tensor{call.op("Clip", {call.tensor(0)}, {{"min", 0.0}, {"max", 6.0}})}};
}

Items hardtanh(Call& call) {
  return {Tensor{call.op("Clip", {call.tensor(0)}, {{"min", call.number(1, -1)}, {"max", call.number(2, 1)}})}};
}

Items gelu(Call& call) {
  return {Tensor{call.composite("Gelu", {call.tensor(0)}, {{"approximate", call.has(1) ? call.text(1) : "none"}})}};
}

Items silu(Call& call) {
  return {Tensor{call.composite("Silu", {call.tensor(0)})}};
}

Items mish(Call& call) {
  return {Tensor{call.op("Mish", {call.tensor(0)})}};
}

Items hardswish(Call& call) {
  return {Tensor{call.op("HardSwish", {call.tensor(0)})}};
}

Items hardsigmoid(Call& call) {
  return {Tensor{call.op("HardSigmoid", {call.tensor(0)}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}})}};
}

Items leaky_relu(Call& call) {
  return {Tensor{call.op("LeakyRelu", {call.tensor(0)}, {{"alpha", call.number(1, 0.01)}})}};
}

Items elu(Call& call) {
  const ValueId x = call.tensor(0);
  if (call.number(2, 1) != 1 || call.number(3, 1) != 1) call.refuse("is known with a scale of 1 alone");
  return {Tensor{call.op("Elu", {x}, {{"alpha", call.number(1, 1)}})}};
}

Items selu(Call& call) {
  const ValueId y = call.op("Elu", {call.tensor(0)}, {{"alpha", 1.6732632423543772}});
  return {Tensor{call.op("Mul", {y, call.scalar(1.0507009873554805, call.dtype(y))})}};
}

Items celu(Call& call) {
  const ValueId x = call.tensor(0);
  const double alpha = call.number(1, 1);
  const ValueId scale = call.scalar(alpha, call.dtype(x));
  const ValueId y = call.op("Elu", {call.op("Div", {x, scale})}, {{"alpha", 1.0}});
  return {Tensor{call.op("Mul", {y, scale})}};
}

Items softplus(Call& call) {
  const ValueId x = call.tensor(0);
  const double beta = call.number(1, 1);
  if (beta == 1) return {Tensor{call.op("Softplus", {x})}};
  const ValueId scale = call.scalar(beta, call.dtype(x));
  return {Tensor{call.op("Div", {call.op("Softplus", {call.op("Mul", {x, scale})}), scale})}};
}

Items softsign(Call& call) {
  return {Tensor{call.op("Softsign", {call.tensor(0)})}};
}

Items log_sigmoid(Call& call) {
  return {Tensor{call.op("Neg", {call.op("Softplus", {call.op("Neg", {call.tensor(0)})})})}};
}

/// max(x, 0) - weight · max(-x, 0), with one weight or one a channel.
Items prelu(Call& call) {
  const ValueId x = call.tensor(0);
  ValueId weight = call.tensor(1);
  if (call.rank(weight) == 1 && !(call.shape(weight)[0] == ir::Dim(1)) && call.rank(x) > 2) {
    std::vector<int64_t> axes;
    for (size_t axis = 1; axis + 1 < call.rank(x); ++axis) axes.push_back(static_cast<int64_t>(axis));
    weight = call.unsqueeze(weight, axes);
  }
  const ValueId below = call.op("Mul", {weight, call.op("Relu", {call.op("Neg", {x})})});
  return {Tensor{call.op("Sub", {call.op("Relu", {x}), below})}};
}

/// The first half of an axis times the sigmoid of the second.
Items glu(Call& call) {
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1, -1), call.rank(x)));
  const auto length = call.shape(x)[static_cast<size_t>(axis)].maybe_size();
  if (!length || *length % 2 != 0)
    call.refuse("halves an axis of " + call.shape(x)[static_cast<size_t>(axis)].to_string());
  const auto halves =
      call.ops("", "Split", {x}, {{"axis", axis}, {"split", std::vector<int64_t>{*length / 2, *length / 2}}}, 2);
  return {Tensor{call.op("Mul", {halves[0], call.op("Sigmoid", {halves[1]})})}};
}

ValueId float_input(Call& call, size_t type) {
  const ValueId x = call.tensor(0);
  return call.has(type) ? call.cast(x, call.element_type(type)) : call.as_float(x);
}

Items softmax(Call& call) {
  const ValueId x = float_input(call, 2);
  return {Tensor{call.op("Softmax", {x}, {{"axis", call.axis_of(x, 1)}})}};
}

Items log_softmax(Call& call) {
  const ValueId x = float_input(call, 2);
  return {Tensor{call.op("LogSoftmax", {x}, {{"axis", call.axis_of(x, 1)}})}};
}

Items dropout(Call& call) {
  if (call.has(2) && call.at(2).as<bool>() != nullptr && call.flag(2) && call.number(1, 0) > 0)
    call.refuse("is in training", "make the module in eval(): model.eval()");
  return {call.at(0)};
}

}  // namespace

const std::vector<Row>& activation_rows() {
  static const std::vector<Row> rows{
      {"aten::relu", relu},
      {"aten::relu6", relu6},
      {"aten::hardtanh", hardtanh},
      {"aten::gelu", gelu},
      {"aten::silu", silu},
      {"aten::mish", mish},
      {"aten::hardswish", hardswish},
      {"aten::hardsigmoid", hardsigmoid},
      {"aten::leaky_relu", leaky_relu},
      {"aten::elu", elu},
      {"aten::selu", selu},
      {"aten::celu", celu},
      {"aten::softplus", softplus},
      {"aten::softsign", softsign},
      {"aten::log_sigmoid", log_sigmoid},
      {"aten::prelu", prelu},
      {"aten::glu", glu},
      {"aten::softmax", softmax},
      {"aten::_softmax", softmax},
      {"aten::special_softmax", softmax},
      {"aten::log_softmax", log_softmax},
      {"aten::dropout", dropout},
      {"aten::feature_dropout", dropout},
      {"aten::alpha_dropout", dropout},
      {"aten::feature_alpha_dropout", dropout},
  };
  return rows;
}

}  // namespace onnxport::script

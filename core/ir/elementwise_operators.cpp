// SPDX-License-Identifier: Apache-2.0
// Operators that work element by element.
#include <algorithm>

#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

void infer_not(Inference& x) {
  if (dtype_of(x) != DType::boolean) refuse("takes a boolean tensor");
  infer_same(x);
}

void infer_binary(Inference& x) {
  require_same_dtype(x, 0, 1);
  set(x, dtype_of(x), broadcast(x.shape(0), x.shape(1)));
  const auto& a = x.in(0).contents;
  const auto& b = x.in(1).contents;
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return;
  const std::string& op = x.node.op;
  if (op != "Add" && op != "Sub" && op != "Mul") return;
  Shape contents;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    const Dim& left = (*a)[a->size() == 1 ? 0 : i];
    const Dim& right = (*b)[b->size() == 1 ? 0 : i];
    if (op == "Mul" && !left.is_static() && !right.is_static()) return;
    contents.push_back(op == "Add" ? left + right : op == "Sub" ? left - right : left * right);
  }
  set_contents(x, std::move(contents));
}

void infer_is_nan(Inference& x) {
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  set(x, DType::boolean, x.shape(0));
}

void infer_logical(Inference& x) {
  if (dtype_of(x, 0) != DType::boolean || dtype_of(x, 1) != DType::boolean) refuse("takes boolean tensors");
  set(x, DType::boolean, broadcast(x.shape(0), x.shape(1)));
}

void infer_compare(Inference& x) {
  require_same_dtype(x, 0, 1);
  set(x, DType::boolean, broadcast(x.shape(0), x.shape(1)));
}

void infer_where(Inference& x) {
  if (dtype_of(x, 0) != DType::boolean) refuse("its condition must be boolean");
  require_same_dtype(x, 1, 2);
  set(x, dtype_of(x, 1), broadcast(x.shape(0), broadcast(x.shape(1), x.shape(2))));
}

void infer_cast(Inference& x) {
  const auto to = static_cast<DType>(x.node.integer("to", 0));
  if (size_of(to) == 0) refuse("its attribute 'to' is no element type");
  set(x, to, x.shape(0));
  if (to == DType::i64) x.results[0].contents = x.in(0).contents;
}

}  // namespace

const std::vector<Operator>& elementwise_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {"", "Abs", 1, 1, 1, infer_same},
      {"", "Neg", 1, 1, 1, infer_same},
      {"", "Sign", 1, 1, 1, infer_same},
      {"", "Identity", 1, 1, 1, infer_same},
      {"", "Exp", 1, 1, 1, infer_float},
      {"", "Log", 1, 1, 1, infer_float},
      {"", "Sqrt", 1, 1, 1, infer_float},
      {"", "Reciprocal", 1, 1, 1, infer_float},
      {"", "Erf", 1, 1, 1, infer_float},
      {"", "Tanh", 1, 1, 1, infer_float},
      {"", "Sigmoid", 1, 1, 1, infer_float},
      {"", "Relu", 1, 1, 1, infer_float},
      {"", "Softplus", 1, 1, 1, infer_float},
      {"", "Softsign", 1, 1, 1, infer_float},
      {"", "Sin", 1, 1, 1, infer_float},
      {"", "Cos", 1, 1, 1, infer_float},
      {"", "Floor", 1, 1, 1, infer_float},
      {"", "Ceil", 1, 1, 1, infer_float},
      {"", "Round", 1, 1, 1, infer_float},
      {"", "Mish", 1, 1, 1, infer_float},
      {"", "HardSwish", 1, 1, 1, infer_float},
      {"", "Elu", 1, 1, 1, infer_float, {{"alpha", real}}},
      {"", "LeakyRelu", 1, 1, 1, infer_float, {{"alpha", real}}},
      {"", "HardSigmoid", 1, 1, 1, infer_float, {{"alpha", real}, {"beta", real}}},
      {"", "Gelu", 1, 1, 1, infer_float, {{"approximate", text}}},
      {"", "Clip", 1, 1, 1, infer_same, {{"min", real}, {"max", real}}},
      {"", "IsNaN", 1, 1, 1, infer_is_nan},
      {"", "Not", 1, 1, 1, infer_not},
      {"", "Add", 2, 2, 1, infer_binary},
      {"", "Sub", 2, 2, 1, infer_binary},
      {"", "Mul", 2, 2, 1, infer_binary},
      {"", "Div", 2, 2, 1, infer_binary},
      {"", "Pow", 2, 2, 1, infer_binary},
      {"", "Min", 2, 2, 1, infer_binary},
      {"", "Max", 2, 2, 1, infer_binary},
      {"", "Mod", 2, 2, 1, infer_binary},
      {"", "And", 2, 2, 1, infer_logical},
      {"", "Or", 2, 2, 1, infer_logical},
      {"", "Equal", 2, 2, 1, infer_compare},
      {"", "Less", 2, 2, 1, infer_compare},
      {"", "LessOrEqual", 2, 2, 1, infer_compare},
      {"", "Greater", 2, 2, 1, infer_compare},
      {"", "GreaterOrEqual", 2, 2, 1, infer_compare},
      {"", "Where", 3, 3, 1, infer_where},
      {"", "Cast", 1, 1, 1, infer_cast, {{"to", integer}}},
      {composite_domain, "Gelu", 1, 1, 1, infer_float, {{"approximate", text}}},
      {composite_domain, "Silu", 1, 1, 1, infer_float},
  };
  return rows;
}

}  // namespace onnxport::ir

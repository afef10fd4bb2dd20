// SPDX-License-Identifier: Apache-2.0
// Operators that work element by element.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/checkpoint/arithmetic.hpp"
#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/evaluation.hpp"
#include "core/tensor/elements.hpp"

namespace onnxport::ir {
namespace {

void infer_not(Inference& x) {
  if (dtype_of(x) != DType::boolean) refuse("takes a boolean tensor");
  infer_same(x);
}

/// Whether a sum of lengths is not below 0, however long they are.
bool is_positive(const Dim& dim) {
  return dim.constant() >= 0 &&
         std::all_of(dim.terms().begin(), dim.terms().end(), [](const auto& term) { return term.second > 0; });
}

void infer_binary(Inference& x) {
  require_same_dtype(x, 0, 1);
  set(x, dtype_of(x), broadcast(x.shape(0), x.shape(1)));
  const auto& a = x.in(0).contents;
  const auto& b = x.in(1).contents;
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return;
  const std::string& op = x.node.op;
  if (op != "Add" && op != "Sub" && op != "Mul" && op != "Div" && op != "Mod") return;
  Shape contents;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    const Dim& left = (*a)[a->size() == 1 ? 0 : i];
    const Dim& right = (*b)[b->size() == 1 ? 0 : i];
    const bool divides = op == "Div" || op == "Mod";
    if (divides && (!right.is_static() || right.size() < 1)) return;
    // The quotient of what is not below 0, or a multiple, is the operator's, which rounds towards 0.
    if (op == "Div" && !is_positive(left) && !(remainder(left, right.size()) == Dim(0))) return;
    contents.push_back(op == "Add"   ? left + right
                       : op == "Sub" ? left - right
                       : op == "Mul" ? left * right
                       : op == "Div" ? floor_divide(left, right.size())
                                     : remainder(left, right.size()));
  }
  set_contents(x, std::move(contents));
}

/// The number that an input is for certain, where it is a single one.
std::optional<float> number_of(const Inference& x, size_t input) {
  const auto& constant = x.in(input).constant;
  if (!constant || constant->dtype != DType::f32 || constant->as<float>().size() != 1) return std::nullopt;
  return constant->as<float>()[0];
}

/// Of a product or quotient: no model scales by what is no number, and what comes of it is none either.
void infer_scaled(Inference& x) {
  for (size_t i = 0; i < 2; ++i) {
    const std::optional<float> number = number_of(x, i);
    if (!number) continue;
    if (!std::isfinite(*number)) refuse(fmt::format("scales by {}; expected a finite number", *number));
    if (i == 1 && *number == 0 && x.node.op == "Div") refuse("divides by 0; expected another number");
  }
  infer_binary(x);
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

void infer_gelu(Inference& x) {
  const std::string form = x.node.text("approximate", "none");
  if (form != "none" && form != "tanh" && form != "quick")
    refuse("there is no form '" + form + "'; known: none, tanh, quick");
  infer_float(x);
}

// ------------------------------------------------------------------------------------------------- lowering

Results gelu(Builder& b) {
  const ValueId x = b.node().input(0);
  const std::string how = b.node().text("approximate", "none");
  const auto number = [&](double value) { return b.scalar(value, b.dtype(x)); };
  if (how == "quick") return {b.op("Mul", {x, b.op("Sigmoid", {b.op("Mul", {x, number(1.702)})})})};
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

// ------------------------------------------------------------------------------------------------- folding

/// Of two of which one has the result's shape, so that what is written is no larger than what is stored.
template <Arithmetic how>
std::optional<Weight> folded(const Folding& f) {
  const Weight &a = f.inputs[0], &b = f.inputs[1];
  if (!can_compute(a.dtype()) || (a.shape() != f.shape && b.shape() != f.shape)) return std::nullopt;
  if (how == Arithmetic::divide && !is_floating(a.dtype())) return std::nullopt;  // by 0 it has no result
  return combined(how, a, b);
}

template <Function function>
std::optional<Weight> folded(const Folding& f) {
  if (!is_floating(f.inputs[0].dtype()) || !can_compute(f.inputs[0].dtype())) return std::nullopt;
  return f.inputs[0].then(Apply{function});
}

std::optional<Weight> folded_cast(const Folding& f) {
  const auto to = static_cast<DType>(f.node.integer("to", 0));
  if (!can_convert(f.inputs[0].dtype(), to)) return std::nullopt;
  return f.inputs[0].then(CastTo{to});
}

std::optional<Weight> folded_identity(const Folding& f) {
  return f.inputs[0];
}

// ----------------------------------------------------------------------------------------------- kinds of rows

/// What differs among operators of a kind.
struct Traits {
  Fold fold = {};
  Precision precision = {};
};

Operator unary(std::string_view name, void (*infer)(Inference&), Traits traits = {}) {
  traits.fold.evaluate = evaluate_unary;
  return {.name = name,
          .infer = infer,
          .fold = traits.fold,
          .precision = std::move(traits.precision),
          .documentation = {"x", "element by element, same type"}};
}

Operator activation(std::string_view name, std::vector<AttributeSpec> attributes, int64_t wide_in_bf16_below) {
  return {.name = name,
          .infer = infer_float,
          .attributes = std::move(attributes),
          .precision = {.wide_in_bf16_below = wide_in_bf16_below},
          .documentation = {"x"}};
}

/// An operator that younger opsets have, and a rule for the others.
Operator activation_since(std::string_view name, int64_t opset, Rule before) {
  return {.name = name,
          .infer = infer_float,
          .lowering = {{.rule = before, .below = opset}},
          .precision = {.wide_in_bf16_below = 22},
          .documentation = {"x", "decomposed where the opset has none"}};
}

Operator binary(std::string_view name, Traits traits = {}) {
  traits.fold.evaluate = evaluate_binary;
  return {.name = name,
          .inputs = {2},
          .infer = infer_binary,
          .fold = traits.fold,
          .precision = std::move(traits.precision),
          .documentation = {"a, b", "broadcast; one type. Mod is of integers with the divisor's sign"}};
}

Operator scaled(Operator row) {
  row.infer = infer_scaled;
  return row;
}

Operator logical(std::string_view name) {
  return {.name = name,
          .inputs = {2},
          .infer = infer_logical,
          .fold = {.evaluate = evaluate_binary},
          .documentation = {"a, b: bool"}};
}

Operator comparison(std::string_view name, int64_t wide_in_bf16_below = 0) {
  return {.name = name,
          .inputs = {2},
          .infer = infer_compare,
          .fold = {.evaluate = evaluate_binary},
          .precision = {.wide_in_bf16_below = wide_in_bf16_below},
          .documentation = {"a, b", "yields bool"}};
}

}  // namespace

const std::vector<Operator>& elementwise_operators() {
  using enum AttributeKind;
  // They lose too much in 16 bits.
  const Precision in_f32{.wide_below = every_opset};
  const Traits wide{.precision = in_f32};
  static const std::vector<Operator> rows{
      unary("Abs", infer_same),
      unary("Neg", infer_same, {{folded<Function::negation>}}),
      unary("Exp", infer_float, {{folded<Function::exponential>}, in_f32}),
      unary("Log", infer_float, wide),
      unary("Sqrt", infer_float, {{folded<Function::root>}, in_f32}),
      unary("Reciprocal", infer_float, {{folded<Function::reciprocal>}, in_f32}),
      unary("Erf", infer_float),
      unary("Tanh", infer_float),
      unary("Sigmoid", infer_float),
      unary("Relu", infer_float),
      unary("Softplus", infer_float, wide),
      unary("Softsign", infer_float, {.precision = {.wide_in_bf16_below = 22}}),
      unary("Sin", infer_float, wide),
      unary("Cos", infer_float, wide),
      unary("Floor", infer_float),
      unary("Ceil", infer_float),
      unary("Round", infer_float, {.precision = {.wide_in_bf16_below = 22}}),
      unary("Sign", infer_same),
      unary("Identity", infer_same, {{folded_identity}}),
      activation("Elu", {{"alpha", real, "ONNX's"}}, 22),
      activation("LeakyRelu", {{"alpha", real, "ONNX's"}}, 16),
      activation("HardSigmoid", {{"alpha", real, "0.2"}, {"beta", real, "0.5"}}, 22),
      activation_since("Mish", 18, mish),
      activation_since("HardSwish", 14, hard_swish),
      {.name = "Clip",
       .infer = infer_same,
       .attributes = {{"min", real, "", {.input = 1, .since = 11}},
                      {"max", real, "either may be absent", {.input = 2, .since = 11}}},
       .fold = {.evaluate = evaluate_clip},
       .documentation = {"x"}},
      {.name = "Not", .infer = infer_not, .fold = {.evaluate = evaluate_unary}, .documentation = {"x: bool"}},
      {.name = "IsNaN",
       .infer = infer_is_nan,
       .fold = {.evaluate = evaluate_unary},
       .documentation = {"x", "yields bool"}},
      binary("Add", {{folded<Arithmetic::add>}, {.numbers = Precision::Numbers::single}}),
      binary("Sub", {{folded<Arithmetic::subtract>}, {.numbers = Precision::Numbers::single}}),
      scaled(binary("Mul", {{folded<Arithmetic::multiply>}, {.numbers = Precision::Numbers::any}})),
      scaled(binary("Div", {{folded<Arithmetic::divide>}, {.numbers = Precision::Numbers::any}})),
      binary("Pow", wide),
      binary("Min"),
      binary("Max"),
      binary("Mod"),
      binary("Sum"),
      logical("And"),
      logical("Or"),
      comparison("Equal"),
      comparison("Less"),
      comparison("LessOrEqual", 16),
      comparison("Greater"),
      comparison("GreaterOrEqual", 16),
      {.name = "Where",
       .inputs = {3},
       .infer = infer_where,
       .fold = {.evaluate = evaluate_where},
       .precision = {.wide_in_bf16_below = 16},
       .documentation = {"condition: bool, a, b"}},
      {.name = "Cast",
       .infer = infer_cast,
       .attributes = {{"to", integer, "the number of the element type"}},
       .fold = {.rule = folded_cast, .evaluate = evaluate_cast},
       .documentation = {"x"}},
      {.domain = composite_domain,
       .name = "Gelu",
       .infer = infer_gelu,
       .attributes = {{"approximate", text, "none, tanh or quick; none"}},
       .lowering = {{gelu}},
       .precision = {.wide_in_bf16_below = 15, .opens_below = 20},
       .documentation = {"x", "exact (erf), tanh form, or x · sigmoid(1.702 x)"}},
      {.domain = composite_domain,
       .name = "Silu",
       .infer = infer_float,
       .lowering = {{silu}},
       .documentation = {"x", "x · sigmoid(x)"}},
      {.name = "Gelu",
       .infer = infer_float,
       .attributes = {{"approximate", text}},
       .documentation = {.inputs = "x", .made_from = "Gelu"}},
  };
  return rows;
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
// Arithmetic and functions, element by element.
#include <cmath>
#include <numbers>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

bool are_numbers(const Item& a, const Item& b) {
  return a.is_number() && b.is_number();
}

/// The two operands, as numbers where both are known to be.
struct Operands {
  Item a, b;
  explicit Operands(const Call& call)
      : a(as_number_beside(call, call.at(0), call.at(1))), b(as_number_beside(call, call.at(1), call.at(0))) {}
  bool are_numbers() const { return a.is_number() && b.is_number(); }
};

/// a + alpha · b, or with a minus.
Items sum_of(Call& call, const Item& a, const Item& b, const char* op) {
  Item right = b;
  if (const auto factor = call.known_number(call.at(2)); factor && *factor != 1) {
    if (right.is_number()) {
      right = arithmetic(call, "mul", right, call.at(2));
    } else {
      const std::vector<ValueId> both = promoted(call, {right, call.at(2)});
      right = Tensor{call.op("Mul", both)};
    }
  }
  if (are_numbers(a, right)) return {arithmetic(call, op == std::string_view("Add") ? "add" : "sub", a, right)};
  return {Tensor{call.op(op, promoted(call, {a, right}))}};
}

Items add_items(Call& call) {
  if (const auto* a = call.at(0).as<List>(), *b = call.at(1).as<List>(); a != nullptr && b != nullptr) {
    Items joined = *a->items;
    joined.insert(joined.end(), b->items->begin(), b->items->end());
    return {Item::list(std::move(joined))};
  }
  if (const auto* a = call.at(0).as<std::string>(), *b = call.at(1).as<std::string>(); a != nullptr && b != nullptr)
    return {*a + *b};
  const Operands of(call);
  return sum_of(call, of.a, of.b, "Add");
}
Items sub(Call& call) {
  const Operands of(call);
  return sum_of(call, of.a, of.b, "Sub");
}
Items rsub(Call& call) {
  const Operands of(call);
  return sum_of(call, of.b, of.a, "Sub");
}

Items mul(Call& call) {
  if (const auto* list = call.at(0).as<List>()) {
    Items repeated;
    for (int64_t i = 0; i < call.integer(1); ++i)
      repeated.insert(repeated.end(), list->items->begin(), list->items->end());
    return {Item::list(std::move(repeated))};
  }
  if (const Operands of(call); of.are_numbers()) return {arithmetic(call, "mul", of.a, of.b)};
  const std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  if (call.dtype(both[0]) == DType::boolean) return {Tensor{call.op("And", both)}};
  return {Tensor{call.op("Mul", both)}};
}

/// ⌊a/b⌋ of tensors.
ValueId floored_quotient(Call& call, const std::vector<ValueId>& both) {
  if (ir::is_floating(call.dtype(both[0]))) return call.op("Floor", {call.op("Div", both)});
  return call.op("Div", {call.op("Sub", {both[0], call.op("Mod", both)}), both[1]});
}

ValueId truncated(Call& call, ValueId x) {
  return call.op("Mul", {call.op("Sign", {x}), call.op("Floor", {call.op("Abs", {x})})});
}

Items div(Call& call) {
  const std::string rounding = call.has(2) ? call.text(2) : "";
  if (const Operands of(call); of.are_numbers()) {
    const bool is_whole = of.a.as<Integer>() != nullptr && of.b.as<Integer>() != nullptr;
    if (is_whole && !rounding.empty()) return {arithmetic(call, "floordiv", of.a, of.b)};
    const auto a = call.known_number(of.a), b = call.known_number(of.b);
    if (a && b) return {rounding.empty() ? *a / *b : rounding == "floor" ? std::floor(*a / *b) : std::trunc(*a / *b)};
    return {Tensor{
        call.op("Div", {call.cast(call.tensor_of(of.a), DType::f32), call.cast(call.tensor_of(of.b), DType::f32)})}};
  }
  std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  if (rounding == "floor") return {Tensor{floored_quotient(call, both)}};
  if (rounding == "trunc") {
    const ValueId quotient = call.op("Div", both);
    return {Tensor{ir::is_floating(call.dtype(quotient)) ? truncated(call, quotient) : quotient}};
  }
  return {Tensor{call.op("Div", {call.as_float(both[0]), call.as_float(both[1])})}};
}

Items floor_div(Call& call) {
  if (const Operands of(call); of.are_numbers()) return {arithmetic(call, "floordiv", of.a, of.b)};
  return {Tensor{floored_quotient(call, promoted(call, {call.at(0), call.at(1)}))}};
}

Items modulo(Call& call) {
  if (const Operands of(call); of.are_numbers()) return {arithmetic(call, "remainder", of.a, of.b)};
  const std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  if (!ir::is_floating(call.dtype(both[0]))) return {Tensor{call.op("Mod", both)}};
  return {Tensor{call.op("Sub", {both[0], call.op("Mul", {floored_quotient(call, both), both[1]})})}};
}

Items power(Call& call) {
  if (const Operands of(call); of.are_numbers()) return {arithmetic(call, "pow", of.a, of.b)};
  const std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  const auto exponent = call.known_number(call.at(1));
  const ValueId x = both[0];
  if (exponent == 2) return {Tensor{call.op("Mul", {x, x})}};
  if (exponent == 1) return {Tensor{x}};
  if (exponent == 0.5) return {Tensor{call.op("Sqrt", {x})}};
  if (exponent == -0.5) return {Tensor{call.op("Reciprocal", {call.op("Sqrt", {x})})}};
  if (exponent == -1) return {Tensor{call.op("Reciprocal", {x})}};
  return {Tensor{call.op("Pow", both)}};
}

Items negative(Call& call) {
  if (call.at(0).as<Integer>() != nullptr) return {subtract(call, {ir::Dim(0)}, call.size(0))};
  if (call.at(0).is_number()) return {-call.number(0)};
  return {Tensor{call.op("Neg", {call.tensor(0)})}};
}

/// A function that ONNX has, of floats.
struct Named {
  std::string_view kind;
  const char* op;
};
constexpr Named functions[] = {{"exp", "Exp"}, {"log", "Log"},   {"sqrt", "Sqrt"},       {"reciprocal", "Reciprocal"},
                               {"erf", "Erf"}, {"tanh", "Tanh"}, {"sigmoid", "Sigmoid"}, {"sin", "Sin"},
                               {"cos", "Cos"}};

double of_number(const Call& call, std::string_view name, double x) {
  if (name == "exp") return std::exp(x);
  if (name == "log") return std::log(x);
  if (name == "sqrt") return std::sqrt(x);
  if (name == "reciprocal") return 1 / x;
  if (name == "tanh") return std::tanh(x);
  if (name == "sin") return std::sin(x);
  if (name == "cos") return std::cos(x);
  call.refuse("is not known of a number");
}

Items function(Call& call) {
  const std::string name = call.base_name();
  if (call.at(0).is_number() && call.known_number(call.at(0))) return {of_number(call, name, call.number(0))};
  for (const Named& known : functions) {
    if (known.kind == name) return {Tensor{call.op(known.op, {call.as_float(call.tensor(0))})}};
  }
  call.refuse("is not known");
}

/// What leaves whole numbers as they are.
Items rounding(Call& call) {
  const std::string name = call.base_name();
  if (const auto* number = call.at(0).as<double>()) {
    const double rounded = name == "floor"  ? std::floor(*number)
                           : name == "ceil" ? std::ceil(*number)
                                            : std::nearbyint(*number);
    return {static_cast<int64_t>(rounded)};
  }
  if (call.at(0).is_number()) return {call.at(0)};
  const ValueId x = call.tensor(0);
  if (!ir::is_floating(call.dtype(x))) return {Tensor{x}};
  if (name == "trunc" || name == "fix") return {Tensor{truncated(call, x)}};
  return {Tensor{call.op(name == "floor" ? "Floor" : name == "ceil" ? "Ceil" : "Round", {x})}};
}

Items magnitude(Call& call) {
  if (const auto number = call.at(0).is_number() ? call.known_number(call.at(0)) : std::nullopt) {
    if (call.at(0).as<Integer>() != nullptr) return {static_cast<int64_t>(std::fabs(*number))};
    return {std::fabs(*number)};
  }
  return {Tensor{call.op("Abs", {call.tensor(0)})}};
}

Items sign(Call& call) {
  return {Tensor{call.op("Sign", {call.tensor(0)})}};
}

Items inverse_root(Call& call) {
  return {Tensor{call.op("Reciprocal", {call.op("Sqrt", {call.as_float(call.tensor(0))})})}};
}

Items square(Call& call) {
  return {Tensor{call.op("Mul", {call.tensor(0), call.tensor(0)})}};
}

ValueId with_number(Call& call, const char* op, ValueId x, double number) {
  return call.op(op, {x, call.scalar(number, call.dtype(x))});
}

Items log1p(Call& call) {
  return {Tensor{call.op("Log", {with_number(call, "Add", call.as_float(call.tensor(0)), 1)})}};
}
Items expm1(Call& call) {
  return {Tensor{with_number(call, "Sub", call.op("Exp", {call.as_float(call.tensor(0))}), 1)}};
}
Items log2(Call& call) {
  return {Tensor{with_number(call, "Mul", call.op("Log", {call.as_float(call.tensor(0))}), std::numbers::log2e)}};
}
Items log10(Call& call) {
  return {Tensor{with_number(call, "Mul", call.op("Log", {call.as_float(call.tensor(0))}), std::numbers::log10e)}};
}
Items exp2(Call& call) {
  return {Tensor{call.op("Exp", {with_number(call, "Mul", call.as_float(call.tensor(0)), std::numbers::ln2)})}};
}
Items erfc(Call& call) {
  const ValueId erf = call.op("Erf", {call.as_float(call.tensor(0))});
  return {Tensor{call.op("Sub", {call.scalar(1, call.dtype(erf)), erf})}};
}
Items tan(Call& call) {
  const ValueId x = call.as_float(call.tensor(0));
  return {Tensor{call.op("Div", {call.op("Sin", {x}), call.op("Cos", {x})})}};
}

/// Between bounds that may be numbers or tensors.
ValueId bounded(Call& call, ValueId x, const Item& least, const Item& most) {
  ir::Attributes known;
  for (const auto& [name, bound] : {std::pair("min", &least), std::pair("max", &most)}) {
    if (bound->is_none()) continue;
    if (const auto number = call.known_number(*bound)) {
      known[name] = *number;
      continue;
    }
    const std::vector<ValueId> both = promoted(call, {Tensor{x}, *bound});
    x = call.op(name == std::string_view("min") ? "Max" : "Min", both);
  }
  return known.empty() ? x : call.op("Clip", {x}, known);
}

Items clamp(Call& call) {
  return {Tensor{bounded(call, call.tensor(0), call.at(1), call.at(2))}};
}
Items clamp_min(Call& call) {
  return {Tensor{bounded(call, call.tensor(0), call.at(1), {})}};
}
Items clamp_max(Call& call) {
  return {Tensor{bounded(call, call.tensor(0), {}, call.at(1))}};
}

Items maximum(Call& call) {
  return {Tensor{call.op("Max", promoted(call, {call.at(0), call.at(1)}))}};
}
Items minimum(Call& call) {
  return {Tensor{call.op("Min", promoted(call, {call.at(0), call.at(1)}))}};
}

/// input + value · a · b
Items add_product(Call& call) {
  const bool divides = call.base_name() == "addcdiv";
  const std::vector<ValueId> both = promoted(call, {call.at(1), call.at(2)});
  Item product = Tensor{call.op(divides ? "Div" : "Mul", both)};
  if (const double factor = call.number(3, 1); factor != 1)
    product = Tensor{call.op("Mul", promoted(call, {product, Item(factor)}))};
  return {Tensor{call.op("Add", promoted(call, {call.at(0), product}))}};
}

/// a + weight · (b - a)
Items lerp(Call& call) {
  const std::vector<ValueId> all = promoted(call, {call.at(0), call.at(1), call.at(2)});
  return {Tensor{call.op("Add", {all[0], call.op("Mul", {all[2], call.op("Sub", {all[1], all[0]})})})}};
}

Items nan_to_num(Call& call) {
  ValueId x = call.tensor(0);
  const double largest = std::numeric_limits<float>::max();
  x = call.op("Where", {call.op("IsNaN", {x}), call.scalar(call.number(1, 0), call.dtype(x)), x});
  return {Tensor{call.op("Clip", {x}, {{"min", call.number(3, -largest)}, {"max", call.number(2, largest)}})}};
}

}  // namespace

const std::vector<Row>& elementwise_rows() {
  static const std::vector<Row> rows{
      {"aten::add", add_items},
      {"aten::sub", sub},
      {"aten::subtract", sub},
      {"aten::rsub", rsub},
      {"aten::mul", mul},
      {"aten::multiply", mul},
      {"aten::div", div},
      {"aten::divide", div},
      {"aten::true_divide", div},
      {"aten::floor_divide", floor_div},
      {"aten::floordiv", floor_div},
      {"aten::__floordiv__", floor_div},
      {"aten::remainder", modulo},
      {"aten::pow", power},
      {"aten::neg", negative},
      {"aten::exp", function},
      {"aten::log", function},
      {"aten::sqrt", function},
      {"aten::reciprocal", function},
      {"aten::erf", function},
      {"aten::tanh", function},
      {"aten::sigmoid", function},
      {"aten::sin", function},
      {"aten::cos", function},
      {"aten::floor", rounding},
      {"aten::ceil", rounding},
      {"aten::round", rounding},
      {"aten::trunc", rounding},
      {"aten::fix", rounding},
      {"aten::abs", magnitude},
      {"aten::sign", sign},
      {"aten::sgn", sign},
      {"aten::rsqrt", inverse_root},
      {"aten::square", square},
      {"aten::log1p", log1p},
      {"aten::expm1", expm1},
      {"aten::log2", log2},
      {"aten::log10", log10},
      {"aten::exp2", exp2},
      {"aten::erfc", erfc},
      {"aten::tan", tan},
      {"aten::clamp", clamp},
      {"aten::clip", clamp},
      {"aten::clamp_min", clamp_min},
      {"aten::clamp_max", clamp_max},
      {"aten::maximum", maximum},
      {"aten::minimum", minimum},
      {"aten::addcmul", add_product},
      {"aten::addcdiv", add_product},
      {"aten::lerp", lerp},
      {"aten::nan_to_num", nan_to_num},
  };
  return rows;
}

}  // namespace onnxport::script

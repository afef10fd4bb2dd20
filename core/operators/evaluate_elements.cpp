// SPDX-License-Identifier: Apache-2.0
// Constants element by element. Computed in f64 and rounded once, which is at least as exact as any run-time.
#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "core/operators/evaluation.hpp"

namespace onnxport::ir {
namespace {

using Unary = double (*)(double);
using Binary = std::optional<double> (*)(double, double);

const std::map<std::string_view, Unary>& unary_functions() {
  static const std::map<std::string_view, Unary> functions{
      {"Abs", [](double x) { return std::fabs(x); }},
      {"Neg", [](double x) { return -x; }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Log", [](double x) { return std::log(x); }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
      {"Reciprocal", [](double x) { return 1 / x; }},
      {"Erf", [](double x) { return std::erf(x); }},
      {"Tanh", [](double x) { return std::tanh(x); }},
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"Relu", [](double x) { return x < 0 ? 0 : x; }},
      {"Softplus", [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }},
      {"Softsign", [](double x) { return x / (1 + std::fabs(x)); }},
      {"Sin", [](double x) { return std::sin(x); }},
      {"Cos", [](double x) { return std::cos(x); }},
      {"Floor", [](double x) { return std::floor(x); }},
      {"Ceil", [](double x) { return std::ceil(x); }},
      {"Round", [](double x) { return std::nearbyint(x); }},
      {"Sign", [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : x; }},
      {"Not", [](double x) { return x == 0 ? 1.0 : 0.0; }},
      {"IsNaN", [](double x) { return std::isnan(x) ? 1.0 : 0.0; }},
  };
  return functions;
}

/// Of floats; integers divide otherwise.
const std::map<std::string_view, Binary>& binary_functions() {
  using Maybe = std::optional<double>;
  static const std::map<std::string_view, Binary> functions{
      {"Add", [](double a, double b) -> Maybe { return a + b; }},
      {"Sum", [](double a, double b) -> Maybe { return a + b; }},
      {"Sub", [](double a, double b) -> Maybe { return a - b; }},
      {"Mul", [](double a, double b) -> Maybe { return a * b; }},
      {"Div", [](double a, double b) -> Maybe { return a / b; }},
      {"Pow", [](double a, double b) -> Maybe { return std::pow(a, b); }},
      {"Min", [](double a, double b) -> Maybe { return std::isnan(a) || a < b ? a : b; }},
      {"Max", [](double a, double b) -> Maybe { return std::isnan(a) || a > b ? a : b; }},
      {"And", [](double a, double b) -> Maybe { return a != 0 && b != 0; }},
      {"Or", [](double a, double b) -> Maybe { return a != 0 || b != 0; }},
      {"Equal", [](double a, double b) -> Maybe { return a == b; }},
      {"Less", [](double a, double b) -> Maybe { return a < b; }},
      {"LessOrEqual", [](double a, double b) -> Maybe { return a <= b; }},
      {"Greater", [](double a, double b) -> Maybe { return a > b; }},
      {"GreaterOrEqual", [](double a, double b) -> Maybe { return a >= b; }},
  };
  return functions;
}

/// Towards 0, and with the divisor's sign.
const std::map<std::string_view, Binary>& integer_functions() {
  using Maybe = std::optional<double>;
  static const std::map<std::string_view, Binary> functions{
      {"Div", [](double a, double b) -> Maybe { return b == 0 ? Maybe() : std::trunc(a / b); }},
      {"Mod", [](double a, double b) -> Maybe { return b == 0 ? Maybe() : a - b * std::floor(a / b); }},
  };
  return functions;
}

Binary function_of(const Known& x) {
  if (!is_floating(x.in(0).dtype)) {
    const auto found = integer_functions().find(x.node.op);
    if (found != integer_functions().end()) return found->second;
  }
  const auto found = binary_functions().find(x.node.op);
  return found == binary_functions().end() ? nullptr : found->second;
}

/// For each element of a shape the place of the one that broadcasting takes from a tensor.
std::vector<size_t> places_of(const std::vector<int64_t>& from, const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 0);
  int64_t step = 1;
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t axis = from.size() - 1 - i, at = shape.size() - 1 - i;
    strides[at] = from[axis] == 1 ? 0 : step;
    step *= from[axis];
  }
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  std::vector<size_t> places(static_cast<size_t>(count));
  std::vector<int64_t> index(shape.size(), 0);
  int64_t place = 0;
  for (size_t& to : places) {
    to = static_cast<size_t>(place);
    for (size_t axis = shape.size(); axis-- > 0;) {
      place += strides[axis];
      if (++index[axis] < shape[axis]) break;
      place -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return places;
}

}  // namespace

Evaluated evaluate_unary(const Known& x) {
  const auto function = unary_functions().find(x.node.op);
  std::optional<std::vector<double>> numbers = numbers_of(x.in(0));
  if (function == unary_functions().end() || !numbers) return std::nullopt;
  std::transform(numbers->begin(), numbers->end(), numbers->begin(), function->second);
  return as_result(x, *numbers);
}

Evaluated evaluate_binary(const Known& x) {
  const Binary function = function_of(x);
  const auto a = numbers_of(x.in(0)), b = numbers_of(x.in(1));
  if (function == nullptr || !a || !b) return std::nullopt;
  const std::vector<size_t> left = places_of(x.in(0).shape, x.shape()), right = places_of(x.in(1).shape, x.shape());
  std::vector<double> numbers(left.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::optional<double> number = function((*a)[left[i]], (*b)[right[i]]);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  return as_result(x, numbers);
}

Evaluated evaluate_where(const Known& x) {
  const auto condition = numbers_of(x.in(0)), a = numbers_of(x.in(1)), b = numbers_of(x.in(2));
  if (!condition || !a || !b) return std::nullopt;
  const std::vector<size_t> chosen = places_of(x.in(0).shape, x.shape()), left = places_of(x.in(1).shape, x.shape()),
                            right = places_of(x.in(2).shape, x.shape());
  std::vector<double> numbers(chosen.size());
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = (*condition)[chosen[i]] != 0 ? (*a)[left[i]] : (*b)[right[i]];
  return as_result(x, numbers);
}

Evaluated evaluate_cast(const Known& x) {
  const auto numbers = numbers_of(x.in(0));
  return numbers ? as_result(x, *numbers) : std::nullopt;
}

Evaluated evaluate_clip(const Known& x) {
  std::optional<std::vector<double>> numbers = numbers_of(x.in(0));
  if (!numbers) return std::nullopt;
  for (double& number : *numbers) {
    if (x.node.has("min")) number = std::max(number, x.node.real("min", 0));
    if (x.node.has("max")) number = std::min(number, x.node.real("max", 0));
  }
  return as_result(x, *numbers);
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
#include "core/import/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/import/rows.hpp"

namespace onnxport::script {

namespace {

int64_t floored(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/// A symbolic result, with the node that yields it.
Integer made(const Call& call, const char* op, const Integer& a, const Integer& b, Dim dim) {
  if (dim.is_static()) return {std::move(dim)};
  return {std::move(dim), call.op(op, {value_of(call, a), value_of(call, b)})};
}

/// The least and the most that a dimension can be where each symbol is 1 or more.
struct Bounds {
  std::optional<int64_t> least, most;
};
Bounds bounds_of(const Dim& dim) {
  Bounds bounds{dim.constant(), dim.constant()};
  for (const auto& [symbol, factor] : dim.terms()) {
    const bool is_count = !symbol.starts_with("floor(");
    const int64_t smallest = is_count ? 1 : 0;
    auto& [least, most] = bounds;
    if (factor > 0) {
      if (least) *least += factor * smallest;
      most.reset();
    } else {
      if (most) *most += factor * smallest;
      least.reset();
    }
  }
  return bounds;
}

bool is_positive(const Dim& dim) {
  return bounds_of(dim).least.value_or(-1) >= 0;
}

/// dim / by where all of it is a multiple.
std::optional<int64_t> multiple_of(const Dim& dim, const Dim& by) {
  if (by.terms().empty() || dim.terms().size() != by.terms().size()) return std::nullopt;
  const int64_t times = dim.terms()[0].second / by.terms()[0].second;
  return by * Dim(times) == dim ? std::optional(times) : std::nullopt;
}

Integer chosen(const Call& call, const Integer& a, const Integer& b, bool larger) {
  const Bounds apart = bounds_of(a.dim - b.dim);
  if (apart.least && *apart.least >= 0) return larger ? a : b;
  if (apart.most && *apart.most <= 0) return larger ? b : a;
  return made(call, larger ? "Max" : "Min", a, b,
              Dim::symbol(fmt::format("{}({}, {})", larger ? "max" : "min", a.dim.to_string(), b.dim.to_string())));
}

/// Of real numbers, or of a real and a whole one that are known.
double computed(const Call& call, std::string_view how, double a, double b) {
  if (how == "add") return a + b;
  if (how == "sub") return a - b;
  if (how == "mul") return a * b;
  if (how == "div") return a / b;
  if (how == "floordiv") return std::floor(a / b);
  if (how == "remainder") return a - b * std::floor(a / b);
  if (how == "pow") return std::pow(a, b);
  call.refuse("is not known of numbers");
}

/// Of numbers one of which the run alone knows, as a real number.
Item at_run_time(const Call& call, std::string_view how, const Item& a, const Item& b) {
  const char* op = how == "add" ? "Add" : how == "sub" ? "Sub" : how == "mul" ? "Mul" : how == "div" ? "Div" : nullptr;
  const bool is_power = how == "pow";
  if (op == nullptr && !is_power) call.refuse("takes a size that the run alone knows, and a real number");
  const auto real = [&](const Item& item) {
    const auto known = call.known_number(item);
    return known ? call.scalar(*known, DType::f32) : call.cast(call.tensor_of(item), DType::f32);
  };
  return Tensor{call.op(is_power ? "Pow" : op, {real(a), real(b)})};
}

}  // namespace

Integer add(const Call& call, const Integer& a, const Integer& b) {
  if (a.dim == Dim(0)) return b;
  if (b.dim == Dim(0)) return a;
  return made(call, "Add", a, b, a.dim + b.dim);
}
Integer subtract(const Call& call, const Integer& a, const Integer& b) {
  if (b.dim == Dim(0)) return a;
  return made(call, "Sub", a, b, a.dim - b.dim);
}
Integer multiply(const Call& call, const Integer& a, const Integer& b) {
  if (a.dim == Dim(1)) return b;
  if (b.dim == Dim(1)) return a;
  return made(call, "Mul", a, b, a.dim * b.dim);
}

Integer floor_divide(const Call& call, const Integer& a, const Integer& b) {
  if (b.dim == Dim(1)) return a;
  if (b.dim == Dim(0)) call.refuse("divides by 0");
  if (a.dim.is_static() && b.dim.is_static()) return {Dim(floored(a.dim.size(), b.dim.size()))};
  if (const auto times = multiple_of(a.dim, b.dim)) return {Dim(*times)};
  Dim dim = b.dim.is_static() && b.dim.size() > 0
                ? ir::floor_divide(a.dim, b.dim.size())
                : Dim::symbol(fmt::format("floor(({})/({}))", a.dim.to_string(), b.dim.to_string()));
  if (is_positive(a.dim) || dim.is_static()) return made(call, "Div", a, b, std::move(dim));
  // ONNX's quotient rounds towards 0; what is left over has the divisor's sign.
  const ir::ValueId of = value_of(call, a), by = value_of(call, b);
  return {std::move(dim), call.op("Div", {call.op("Sub", {of, call.op("Mod", {of, by})}), by})};
}

Integer remainder(const Call& call, const Integer& a, const Integer& b) {
  // ONNX's remainder has the divisor's sign, as Python's has.
  if (b.dim.is_static() && b.dim.size() > 0) return made(call, "Mod", a, b, ir::remainder(a.dim, b.dim.size()));
  return subtract(call, a, multiply(call, floor_divide(call, a, b), b));
}

Integer smaller(const Call& call, const Integer& a, const Integer& b) {
  return chosen(call, a, b, false);
}
Integer larger(const Call& call, const Integer& a, const Integer& b) {
  return chosen(call, a, b, true);
}

ValueId counted(const Call& call, const Integer& length) {
  return call.op("Range", {call.scalar(0, DType::i64), value_of(call, length), call.scalar(1, DType::i64)});
}

Item arithmetic(const Call& call, std::string_view how, const Item& a, const Item& b) {
  const auto whole = [](const Item& item) { return item.as<Integer>() != nullptr || item.as<bool>() != nullptr; };
  const auto left = call.known_number(a), right = call.known_number(b);
  if (whole(a) && whole(b)) {
    const Integer x = call.size_of(a), y = call.size_of(b);
    if (how == "add") return add(call, x, y);
    if (how == "sub") return subtract(call, x, y);
    if (how == "mul") return multiply(call, x, y);
    if (how == "floordiv") return floor_divide(call, x, y);
    if (how == "remainder") return remainder(call, x, y);
    if (how == "pow" && left && right && *right >= 0)
      return Item(static_cast<int64_t>(std::llround(std::pow(*left, *right))));
  }
  if (left && right) return computed(call, how, *left, *right);
  return at_run_time(call, how, a, b);
}

Item as_number_beside(const Call& call, const Item& item, const Item& other) {
  const auto* tensor = item.as<Tensor>();
  if (tensor == nullptr || !other.is_number() || call.rank(tensor->value) > 0) return item;
  const auto number = call.known_number(item);
  if (!number || call.dtype(tensor->value) == DType::boolean) return item;
  if (ir::is_floating(call.dtype(tensor->value))) return *number;
  return static_cast<int64_t>(*number);
}

std::optional<int> compare(const Call& call, const Item& a, const Item& b) {
  const auto left = call.known_number(a), right = call.known_number(b);
  if (left && right) return *left < *right ? -1 : *left > *right ? 1 : 0;
  if (a.as<double>() != nullptr || b.as<double>() != nullptr) return std::nullopt;
  const Bounds apart = bounds_of(call.size_of(a).dim - call.size_of(b).dim);
  if (apart.least == 0 && apart.most == 0) return 0;
  if (apart.least && *apart.least > 0) return 1;
  if (apart.most && *apart.most < 0) return -1;
  return std::nullopt;
}

namespace {

Items to_integer(Call& call) {
  if (const auto* number = call.at(0).as<double>()) return {static_cast<int64_t>(*number)};
  return {call.size(0)};
}

Items to_real(Call& call) {
  if (const auto number = call.known_number(call.at(0))) return {*number};
  if (const auto* text = call.at(0).as<std::string>()) {
    if (*text == "inf" || *text == "-inf") return {*text == "inf" ? INFINITY : -INFINITY};
  }
  return {Tensor{call.cast(call.tensor(0), DType::f32)}};
}

Items to_flag(Call& call) {
  const auto number = call.known_number(call.at(0));
  if (number) return {*number != 0};
  if (const auto* size = call.at(0).as<Integer>()) {
    if (bounds_of(size->dim).least.value_or(0) > 0) return {true};
  }
  call.refuse("a truth that the run alone knows decides what the model does");
}

Items negation(Call& call) {
  return {!call.flag(0)};
}

template <double (*function)(double)>
Items of_number(Call& call) {
  return {function(call.number(0))};
}
double root(double x) {
  return std::sqrt(x);
}
double logarithm(double x) {
  return std::log(x);
}

Items integer_pair(Call& call) {
  const bool larger_one = call.name() == "max";
  const Item &a = call.at(0), &b = call.at(1);
  if (call.count() == 1) {
    Integer best = call.size_of(call.list(0).at(0));
    for (const Item& item : call.list(0))
      best = larger_one ? larger(call, best, call.size_of(item)) : smaller(call, best, call.size_of(item));
    return {best};
  }
  if (a.as<double>() != nullptr || b.as<double>() != nullptr) {
    const double x = call.number(0), y = call.number(1);
    return {larger_one ? std::max(x, y) : std::min(x, y)};
  }
  const Integer x = call.size(0), y = call.size(1);
  return {larger_one ? larger(call, x, y) : smaller(call, x, y)};
}

Items absolute(Call& call) {
  return {std::fabs(call.number(0))};
}

}  // namespace

const std::vector<Row>& number_rows() {
  static const std::vector<Row> rows{
      {"prim::NumToTensor", as_it_is},   {"aten::ScalarImplicit", as_it_is},
      {"aten::scalar_tensor", as_it_is}, {"aten::IntImplicit", to_integer},
      {"aten::FloatImplicit", to_real},  {"aten::Int", to_integer},
      {"aten::Float", to_real},          {"aten::Bool", to_flag},
      {"aten::item", as_it_is},          {"aten::_local_scalar_dense", as_it_is},
      {"aten::__not__", negation},       {"prim::min", integer_pair},
      {"prim::max", integer_pair},       {"prim::abs", absolute},
      {"math::sqrt", of_number<root>},   {"math::log", of_number<logarithm>},
  };
  return rows;
}

}  // namespace onnxport::script

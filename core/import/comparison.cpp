// SPDX-License-Identifier: Apache-2.0
// Comparisons, logic and choices between two tensors.
#include <fmt/format.h>

#include <limits>
#include <map>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

/// By the shorter of its two names.
std::string comparison_of(const Call& call) {
  std::string name = call.base_name();
  static const std::map<std::string, std::string> longer{
      {"greater", "gt"}, {"less", "lt"}, {"greater_equal", "ge"}, {"less_equal", "le"}, {"not_equal", "ne"}};
  const auto known = longer.find(name);
  return known == longer.end() ? name : known->second;
}

bool holds(std::string_view how, int order) {
  if (how == "eq") return order == 0;
  if (how == "ne") return order != 0;
  if (how == "lt") return order < 0;
  if (how == "le") return order <= 0;
  if (how == "gt") return order > 0;
  return order >= 0;
}

Items compared_numbers(Call& call, const std::string& how, const Item& a, const Item& b) {
  // Where the order of two is not known for all sizes, part of what is asked may be.
  if (const auto order = compare(call, a, b)) return {holds(how, *order)};
  const Item next = arithmetic(call, "add", b, Item(int64_t{1}));
  const Item last = arithmetic(call, "sub", b, Item(int64_t{1}));
  const auto above = compare(call, a, last), below = compare(call, a, next);
  if (above && *above > 0 && (how == "ge" || how == "lt")) return {how == "ge"};
  if (below && *below < 0 && (how == "le" || how == "gt")) return {how == "le"};
  call.refuse(
      fmt::format("whether {} is {} {} is known when the model runs and not before", describe(a), how, describe(b)),
      "give the axis a size in --input, or make the module by torch.jit.trace");
}

/// The same of texts and lists; nullopt for others.
std::optional<bool> same_things(Call& call) {
  const Item &a = call.at(0), &b = call.at(1);
  const auto *x = a.as<std::string>(), *y = b.as<std::string>();
  if (x != nullptr && y != nullptr) return *x == *y;
  const auto *left = a.as<List>(), *right = b.as<List>();
  if (left == nullptr || right == nullptr) return std::nullopt;
  if (left->items->size() != right->items->size()) return false;
  for (size_t i = 0; i < left->items->size(); ++i) {
    const auto order = compare(call, (*left->items)[i], (*right->items)[i]);
    if (!order) call.refuse("compares sizes that are known when the model runs and not before");
    if (*order != 0) return false;
  }
  return true;
}

Items comparison(Call& call) {
  const std::string how = comparison_of(call);
  if (const auto same = same_things(call)) return {*same == (how == "eq")};
  const Item a = as_number_beside(call, call.at(0), call.at(1)), b = as_number_beside(call, call.at(1), call.at(0));
  if (a.is_number() && b.is_number()) return compared_numbers(call, how, a, b);
  std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  const bool orders = how != "eq" && how != "ne";
  if (orders && call.dtype(both[0]) == DType::boolean) {
    for (ValueId& one : both) one = call.cast(one, DType::i32);
  }
  if (how == "ne") return {Tensor{call.op("Not", {call.op("Equal", both)})}};
  const char* op = how == "eq"   ? "Equal"
                   : how == "lt" ? "Less"
                   : how == "le" ? "LessOrEqual"
                   : how == "gt" ? "Greater"
                                 : "GreaterOrEqual";
  return {Tensor{call.op(op, both)}};
}

ValueId as_flags(Call& call, const Item& item) {
  return call.cast(call.tensor_of(item), DType::boolean);
}

Items logical(Call& call) {
  std::string how = comparison_of(call);
  if (call.at(0).as<bool>() != nullptr && call.at(1).as<bool>() != nullptr) {
    const bool a = call.flag(0), b = call.flag(1);
    if (how.find("xor") != std::string::npos) return {a != b};
    return {how.find("or") != std::string::npos ? a || b : a && b};
  }
  if (how.find("logical") == std::string::npos && common_type(call, {call.at(0), call.at(1)}) != DType::boolean)
    call.refuse("works on the bits of whole numbers, for which there is no operator");
  const ValueId a = as_flags(call, call.at(0)), b = as_flags(call, call.at(1));
  if (how.find("xor") != std::string::npos) return {Tensor{call.op("Not", {call.op("Equal", {a, b})})}};
  return {Tensor{call.op(how.find("or") != std::string::npos ? "Or" : "And", {a, b})}};
}

Items negated(Call& call) {
  if (call.at(0).as<bool>() != nullptr) return {!call.flag(0)};
  const ValueId x = call.tensor(0);
  if (comparison_of(call) == "bitwise_not" && call.dtype(x) != DType::boolean)
    return {Tensor{call.op("Sub", {call.op("Neg", {x}), call.scalar(1, call.dtype(x))})}};
  return {Tensor{call.op("Not", {as_flags(call, call.at(0))})}};
}

/// where(condition, a, b), or where(condition): the places where it holds, axis by axis.
Items where(Call& call) {
  if (call.count() == 1) return find_row("aten::nonzero_numpy")->rule(call);
  const std::vector<ValueId> both = promoted(call, {call.at(1), call.at(2)});
  return {Tensor{call.op("Where", {as_flags(call, call.at(0)), both[0], both[1]})}};
}

/// A number or a tensor in the type of what it is put into.
ValueId filler(Call& call, size_t index, DType dtype) {
  if (const auto number = call.known_number(call.at(index))) return call.scalar(*number, dtype);
  return call.cast(call.tensor(index), dtype);
}

Items masked_fill(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{call.op("Where", {as_flags(call, call.at(1)), filler(call, 2, call.dtype(x)), x})}};
}

Items is_nan(Call& call) {
  return {Tensor{call.op("IsNaN", {call.as_float(call.tensor(0))})}};
}

Items is_infinite(Call& call) {
  const ValueId x = call.as_float(call.tensor(0));
  const ValueId infinity = call.scalar(std::numeric_limits<double>::infinity(), call.dtype(x));
  return {Tensor{call.op("Equal", {call.op("Abs", {x}), infinity})}};
}

Items is_finite(Call& call) {
  const ValueId x = call.as_float(call.tensor(0));
  const ValueId infinity = call.scalar(std::numeric_limits<double>::infinity(), call.dtype(x));
  return {Tensor{call.op("Less", {call.op("Abs", {x}), infinity})}};
}

}  // namespace

const std::vector<Row>& comparison_rows() {
  static const std::vector<Row> rows{
      {"aten::greater", comparison},    {"aten::less", comparison},         {"aten::greater_equal", comparison},
      {"aten::less_equal", comparison}, {"aten::not_equal", comparison},    {"aten::eq", comparison},
      {"aten::ne", comparison},         {"aten::lt", comparison},           {"aten::le", comparison},
      {"aten::gt", comparison},         {"aten::ge", comparison},           {"aten::__and__", logical},
      {"aten::__or__", logical},        {"aten::__xor__", logical},         {"aten::__iand__", logical},
      {"aten::__ior__", logical},       {"aten::bitwise_and", logical},     {"aten::bitwise_or", logical},
      {"aten::bitwise_xor", logical},   {"aten::logical_and", logical},     {"aten::logical_or", logical},
      {"aten::logical_xor", logical},   {"aten::logical_not", negated},     {"aten::bitwise_not", negated},
      {"aten::where", where},           {"aten::masked_fill", masked_fill}, {"aten::isnan", is_nan},
      {"aten::isinf", is_infinite},     {"aten::isfinite", is_finite},
  };
  return rows;
}

}  // namespace onnxport::script

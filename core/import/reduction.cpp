// SPDX-License-Identifier: Apache-2.0
// Sums, means, the largest and the smallest, and what is in order.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

/// The axes that an argument names, all for none.
Ints axes_of(Call& call, ValueId x, size_t index) {
  Ints axes;
  if (call.has(index)) axes = call.integers(index);
  for (int64_t& axis : axes) axis = static_cast<int64_t>(call.axis(axis, call.rank(x)));
  if (axes.empty()) {
    axes.resize(call.rank(x));
    std::iota(axes.begin(), axes.end(), 0);
  }
  return axes;
}

ValueId reduced(Call& call, const char* op, ValueId x, const Ints& axes, bool keeps) {
  if (call.rank(x) == 0) return x;
  return call.op(op, {x}, {{"axes", axes}, {"keepdims", int64_t{keeps}}});
}

/// sum(x, dtype), sum(x, axes, keepdim, dtype): by its number of arguments.
Items sum(Call& call) {
  const std::string name = call.name();
  const bool has_axes = call.count() > 2, is_mean = name == "mean";
  ValueId x = call.tensor(0);
  const size_t type = has_axes ? 3 : 1;
  if (call.has(type))
    x = call.cast(x, call.element_type(type));
  else if (!ir::is_floating(call.dtype(x)))
    x = call.cast(x, is_mean ? DType::f32 : DType::i64);
  const char* op = is_mean ? "ReduceMean" : name == "prod" ? "ReduceProd" : "ReduceSum";
  return {Tensor{
      reduced(call, op, x, has_axes ? axes_of(call, x, 1) : axes_of(call, x, 9), has_axes && call.flag(2, false))}};
}

/// max(x), max(x, other), max(x, axis, keepdim) -> values and places
Items extreme(Call& call) {
  const bool is_largest = call.name() == "max";
  const ValueId x = call.tensor(0);
  const char* op = is_largest ? "ReduceMax" : "ReduceMin";
  if (call.count() == 1) return {Tensor{reduced(call, op, x, axes_of(call, x, 9), false)}};
  if (call.at(1).as<Tensor>() != nullptr || call.count() == 2)
    return {Tensor{call.op(is_largest ? "Max" : "Min", promoted(call, {call.at(0), call.at(1)}))}};
  const int64_t axis = call.axis_of(x, 1);
  const bool keeps = call.flag(2, false);
  const ValueId ordered = is_largest ? x : call.op("Neg", {x});
  return {Tensor{reduced(call, op, x, {axis}, keeps)},
          Tensor{call.op("ArgMax", {ordered}, {{"axis", axis}, {"keepdims", int64_t{keeps}}})}};
}

/// amax(x, axes, keepdim)
Items extreme_over_axes(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{
      reduced(call, call.name() == "amax" ? "ReduceMax" : "ReduceMin", x, axes_of(call, x, 1), call.flag(2, false))}};
}

/// argmax(x, axis, keepdim)
Items place_of_extreme(Call& call) {
  ValueId x = call.tensor(0);
  if (call.dtype(x) == DType::boolean) x = call.cast(x, DType::i32);
  if (call.name() == "argmin") x = call.op("Neg", {x});
  if (!call.has(1)) x = call.reshape(x, {{ir::Dim(-1)}});
  const int64_t axis = call.has(1) ? call.axis_of(x, 1) : 0;
  return {Tensor{call.op("ArgMax", {x}, {{"axis", axis}, {"keepdims", int64_t{call.flag(2, false)}}})}};
}

/// any(x), any(x, axis, keepdim), all
Items truth(Call& call) {
  const ValueId x = call.tensor(0);
  const ValueId numbers = call.cast(call.cast(x, DType::boolean), DType::i32);
  const bool has_axis = call.count() > 1;
  const char* op = call.name() == "any" ? "ReduceMax" : "ReduceMin";
  const ValueId y = reduced(call, op, numbers, axes_of(call, x, has_axis ? 1 : 9), has_axis && call.flag(2, false));
  return {Tensor{call.cast(y, DType::boolean)}};
}

/// The mean of squares of what is beside the mean, over n - correction.
ValueId variance(Call& call, ValueId x, const Ints& axes, double correction, bool keeps) {
  const ValueId mean = reduced(call, "ReduceMean", x, axes, true);
  const ValueId beside = call.op("Sub", {x, mean});
  const ValueId squares = call.op("Mul", {beside, beside});
  const ValueId biased = reduced(call, "ReduceMean", squares, axes, keeps);
  if (correction == 0) return biased;
  Integer count{ir::Dim(1)};
  for (int64_t axis : axes) count = multiply(call, count, call.size_of_axis(x, static_cast<size_t>(axis)));
  if (count.dim.is_static()) {
    const auto n = static_cast<double>(count.dim.size());
    return call.op("Mul", {biased, call.scalar(n / (n - correction), call.dtype(x))});
  }
  const ValueId n = call.cast(value_of(call, count), call.dtype(x));
  const ValueId rest = call.op("Sub", {n, call.scalar(correction, call.dtype(x))});
  return call.op("Mul", {biased, call.op("Div", {n, rest})});
}

/// var(x, unbiased), var(x, axes, unbiased, keepdim), var(x, axes, correction, keepdim); std, var_mean
Items spread(Call& call) {
  const ValueId x = call.as_float(call.tensor(0));
  const std::string name = call.name();
  const bool has_axes = call.count() > 2;
  const size_t at = has_axes ? 2 : 1;
  const Ints axes = axes_of(call, x, has_axes ? 1 : 9);
  const bool keeps = has_axes && call.flag(3, false);
  const ValueId y = variance(call, x, axes, call.number(at, 1), keeps);
  Items results{Tensor{name.starts_with("std") ? call.op("Sqrt", {y}) : y}};
  if (name.ends_with("_mean")) results.push_back(Tensor{reduced(call, "ReduceMean", x, axes, keeps)});
  return results;
}

ValueId norm_of(Call& call, ValueId x, double order, const Ints& axes, bool keeps) {
  if (order == 2) return reduced(call, "ReduceL2", x, axes, keeps);
  const ValueId size = call.op("Abs", {x});
  if (order == 1) return reduced(call, "ReduceSum", size, axes, keeps);
  if (std::isinf(order)) return reduced(call, order > 0 ? "ReduceMax" : "ReduceMin", size, axes, keeps);
  const ValueId powers = call.op("Pow", {size, call.scalar(order, call.dtype(x))});
  return call.op("Pow", {reduced(call, "ReduceSum", powers, axes, keeps), call.scalar(1 / order, call.dtype(x))});
}

/// norm(x, p, axes, keepdim), linalg_vector_norm(x, p, axes, keepdim, dtype)
Items norm(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{norm_of(call, x, call.number(1, 2), axes_of(call, x, 2), call.flag(3, false))}};
}

Items log_sum(Call& call) {
  const ValueId x = call.tensor(0);
  const Ints axes = axes_of(call, x, 1);
  const bool keeps = call.flag(2, false);
  const ValueId most = reduced(call, "ReduceMax", x, axes, true);
  const ValueId sum = reduced(call, "ReduceSum", call.op("Exp", {call.op("Sub", {x, most})}), axes, keeps);
  return {Tensor{call.op("Add", {call.op("Log", {sum}), keeps ? most : call.squeeze(most, axes)})}};
}

Items running_sum(Call& call) {
  ValueId x = call.tensor(0);
  if (call.has(2))
    x = call.cast(x, call.element_type(2));
  else if (!ir::is_floating(call.dtype(x)))
    x = call.cast(x, DType::i64);
  return {Tensor{call.op("CumSum", {x}, {{"axis", call.axis_of(x, 1)}})}};
}

Items in_order(Call& call, const Integer& count, int64_t axis, bool is_largest) {
  const ValueId x = call.tensor(0);
  ir::Attributes attributes{{"axis", axis}, {"largest", int64_t{is_largest}}};
  std::vector<ValueId> inputs{x};
  if (count.dim.is_static())
    attributes["k"] = count.dim.size();
  else
    inputs.push_back(call.shape_tensor({count}));
  Items results;
  for (ValueId result : call.ops("", "TopK", inputs, attributes, 2)) results.push_back(Tensor{result});
  return results;
}

/// topk(x, k, axis, largest, sorted)
Items top(Call& call) {
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(2, -1), call.rank(x)));
  return in_order(call, call.size(1), axis, call.flag(3, true));
}

/// sort(x, axis, descending), sort(x, stable, axis, descending), argsort
Items sort(Call& call) {
  const ValueId x = call.tensor(0);
  const size_t first = call.count() > 3 ? 2 : 1;
  const auto axis = static_cast<int64_t>(call.axis(call.integer(first, -1), call.rank(x)));
  Items sorted = in_order(call, call.size_of_axis(x, static_cast<size_t>(axis)), axis, call.flag(first + 1, false));
  return call.name() == "argsort" ? Items{sorted[1]} : sorted;
}

}  // namespace

const std::vector<Row>& reduction_rows() {
  static const std::vector<Row> rows{
      {"aten::sum", sum},
      {"aten::mean", sum},
      {"aten::prod", sum},
      {"aten::max", extreme},
      {"aten::min", extreme},
      {"aten::amax", extreme_over_axes},
      {"aten::amin", extreme_over_axes},
      {"aten::argmax", place_of_extreme},
      {"aten::argmin", place_of_extreme},
      {"aten::any", truth},
      {"aten::all", truth},
      {"aten::var", spread},
      {"aten::std", spread},
      {"aten::var_mean", spread},
      {"aten::std_mean", spread},
      {"aten::norm", norm},
      {"aten::linalg_vector_norm", norm},
      {"aten::linalg_norm", norm},
      {"aten::frobenius_norm", norm},
      {"aten::logsumexp", log_sum},
      {"aten::cumsum", running_sum},
      {"aten::topk", top},
      {"aten::sort", sort},
      {"aten::argsort", sort},
  };
  return rows;
}

}  // namespace onnxport::script

// SPDX-License-Identifier: Apache-2.0
// Tensors made of numbers.
#include <cmath>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

DType type_or(Call& call, size_t index, DType otherwise) {
  return call.has(index) ? call.element_type(index) : otherwise;
}

ValueId filled(Call& call, const std::vector<Integer>& shape, ValueId one) {
  return shape.empty() ? one : call.expand(one, shape);
}

/// zeros(size, dtype, …), ones
template <int number>
Items constant(Call& call) {
  return {Tensor{filled(call, call.sizes(0), call.scalar(number, type_or(call, 1, DType::f32)))}};
}

/// zeros_like(x, dtype, …), ones_like
template <int number>
Items constant_like(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{filled(call, call.sizes_of(x), call.scalar(number, type_or(call, 1, call.dtype(x))))}};
}

/// new_zeros(x, size, dtype, …), new_ones
template <int number>
Items new_constant(Call& call) {
  return {Tensor{filled(call, call.sizes(1), call.scalar(number, type_or(call, 2, call.dtype(call.tensor(0)))))}};
}

/// What a fill value is where no type is told.
DType type_of_number(Call& call, const Item& item) {
  if (item.as<Tensor>() != nullptr) return call.dtype(call.tensor_of(item));
  return item.as<bool>() != nullptr ? DType::boolean : item.as<double>() != nullptr ? DType::f32 : DType::i64;
}

ValueId number_as(Call& call, const Item& item, DType dtype) {
  if (const auto known = call.known_number(item)) return call.scalar(*known, dtype);
  return call.cast(call.tensor_of(item), dtype);
}

/// full(size, value, dtype, …)
Items full(Call& call) {
  const DType dtype = type_or(call, 2, type_of_number(call, call.at(1)));
  return {Tensor{filled(call, call.sizes(0), number_as(call, call.at(1), dtype))}};
}

/// full_like(x, value, dtype, …)
Items full_like(Call& call) {
  const ValueId x = call.tensor(0);
  const DType dtype = type_or(call, 2, call.dtype(x));
  return {Tensor{filled(call, call.sizes_of(x), number_as(call, call.at(1), dtype))}};
}

/// new_full(x, size, value, dtype, …)
Items new_full(Call& call) {
  const DType dtype = type_or(call, 3, call.dtype(call.tensor(0)));
  return {Tensor{filled(call, call.sizes(1), number_as(call, call.at(2), dtype))}};
}

/// fill(x, value): x's shape and type.
Items fill(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{filled(call, call.sizes_of(x), number_as(call, call.at(1), call.dtype(x)))}};
}
Items zero(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{filled(call, call.sizes_of(x), call.scalar(0, call.dtype(x)))}};
}

/// x's place takes what another holds, in x's shape and type.
Items copy(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{call.expand(call.cast(call.tensor(1), call.dtype(x)), call.sizes_of(x))}};
}

/// arange(end, …), arange(start, end, …), arange(start, end, step, …): behind them type, layout, device, pinning.
Items arange(Call& call) {
  const size_t numbers = call.count() - 4;
  if (numbers < 1 || numbers > 3) call.refuse("is called in a way that is not known");
  Items bounds{Item(int64_t{0}), call.at(0), Item(int64_t{1})};
  if (numbers > 1) bounds[0] = call.at(0), bounds[1] = call.at(1);
  if (numbers > 2) bounds[2] = call.at(2);
  bool is_whole = true;
  for (const Item& bound : bounds) is_whole = is_whole && type_of_number(call, bound) == DType::i64;
  const DType dtype = type_or(call, numbers, is_whole ? DType::i64 : DType::f32);
  // Sums of whole numbers are exact, and lengths are known by them.
  const DType counted = is_whole ? DType::i64 : DType::f32;
  std::vector<ValueId> ends;
  for (const Item& bound : bounds) ends.push_back(number_as(call, bound, counted));
  return {Tensor{call.cast(call.op("Range", ends), dtype)}};
}

/// linspace(start, end, steps, dtype, …)
Items linspace(Call& call) {
  const double first = call.number(0), last = call.number(1);
  const Integer steps = call.size(2);
  const DType dtype = type_or(call, 3, DType::f32);
  const ValueId places = call.cast(counted(call, steps), dtype);
  if (steps.dim.is_static()) {
    const double step = steps.dim.size() > 1 ? (last - first) / static_cast<double>(steps.dim.size() - 1) : 0;
    return {Tensor{call.op("Add", {call.op("Mul", {places, call.scalar(step, dtype)}), call.scalar(first, dtype)})}};
  }
  const ValueId gaps = call.cast(value_of(call, subtract(call, steps, {Dim(1)})), dtype);
  const ValueId step = call.op("Div", {call.scalar(last - first, dtype), gaps});
  return {Tensor{call.op("Add", {call.op("Mul", {places, step}), call.scalar(first, dtype)})}};
}

/// eye(n, …), eye(n, m, …)
Items eye(Call& call) {
  const bool has_columns = call.count() > 5;
  const Integer rows = call.size(0), columns = has_columns ? call.size(1) : rows;
  const DType dtype = type_or(call, has_columns ? 2 : 1, DType::f32);
  return {
      Tensor{call.cast(call.op("Equal", {call.unsqueeze(counted(call, rows), {1}), counted(call, columns)}), dtype)}};
}

/// Of numbers, or of lists of them.
Items tensor(Call& call) {
  const Item& item = call.at(0);
  const bool is_typed = call.at(1).as<Integer>() != nullptr;
  const auto* list = item.as<List>();
  if (list == nullptr) {
    const DType dtype = is_typed ? call.element_type(1) : type_of_number(call, item);
    return {Tensor{number_as(call, item, dtype)}};
  }
  if (list->items->empty())
    return {Tensor{call.graph().add_constant(ir::Tensor{is_typed ? call.element_type(1) : DType::f32, {0}, {}})}};
  std::vector<ValueId> parts;
  DType dtype = is_typed ? call.element_type(1) : common_type(call, *list->items);
  for (const Item& one : *list->items) {
    if (one.as<List>() != nullptr) call.refuse("is made of lists in lists");
    parts.push_back(call.reshape(number_as(call, one, dtype), {{Dim(1)}}));
  }
  return {Tensor{parts.size() == 1 ? parts[0] : call.op("Concat", parts, {{"axis", int64_t{0}}})}};
}

/// meshgrid(tensors, indexing)
Items grids(Call& call) {
  std::vector<ValueId> axes = call.tensors(0);
  const bool is_xy = call.has(1) && call.text(1) == "xy" && axes.size() > 1;
  if (is_xy) std::swap(axes[0], axes[1]);
  std::vector<Integer> shape;
  for (ValueId axis : axes) shape.push_back(call.rank(axis) == 0 ? Integer{Dim(1)} : call.size_of_axis(axis, 0));
  Items made;
  for (size_t i = 0; i < axes.size(); ++i) {
    std::vector<Integer> own(axes.size(), {Dim(1)});
    own[i] = shape[i];
    made.push_back(Tensor{call.expand(call.reshape(axes[i], own), shape)});
  }
  if (is_xy) std::swap(made[0], made[1]);
  return {Item::list(std::move(made))};
}

Items random(Call& call) {
  call.refuse("draws random numbers, which are other ones each time the model runs",
              "make the module in eval(), or hand the numbers over as an input");
}

}  // namespace

const std::vector<Row>& creation_rows() {
  static const std::vector<Row> rows{
      {"aten::zeros", constant<0>},
      {"aten::ones", constant<1>},
      {"aten::empty", constant<0>},
      {"aten::zeros_like", constant_like<0>},
      {"aten::ones_like", constant_like<1>},
      {"aten::empty_like", constant_like<0>},
      {"aten::new_zeros", new_constant<0>},
      {"aten::new_ones", new_constant<1>},
      {"aten::new_empty", new_constant<0>},
      {"aten::full", full},
      {"aten::full_like", full_like},
      {"aten::new_full", new_full},
      {"aten::fill", fill},
      {"aten::zero", zero},
      {"aten::copy", copy},
      {"aten::arange", arange},
      {"aten::linspace", linspace},
      {"aten::eye", eye},
      {"aten::meshgrid", grids},
      {"aten::tensor", tensor},
      {"aten::as_tensor", tensor},
      {"aten::rand", random},
      {"aten::randn", random},
      {"aten::randint", random},
      {"aten::rand_like", random},
      {"aten::randn_like", random},
      {"aten::randperm", random},
      {"aten::bernoulli", random},
      {"aten::multinomial", random},
      {"aten::normal", random},
      {"aten::uniform", random},
  };
  return rows;
}

}  // namespace onnxport::script

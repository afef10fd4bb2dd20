// SPDX-License-Identifier: Apache-2.0
// Element types as torch numbers them, and the one in which it computes with several.
#include "core/import/call.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace onnxport::script {

namespace {

/// Element types by torch's numbers.
struct TypeRow {
  int64_t number;
  DType dtype;
};
constexpr TypeRow types[] = {{0, DType::u8},       {1, DType::i8},   {2, DType::i16}, {3, DType::i32},
                             {4, DType::i64},      {5, DType::f16},  {6, DType::f32}, {7, DType::f64},
                             {11, DType::boolean}, {15, DType::bf16}};

/// bool, whole, real: what is of a higher kind decides.
int kind_of(DType dtype) {
  return dtype == DType::boolean ? 0 : ir::is_floating(dtype) ? 2 : 1;
}

/// The type that holds both, as torch has it.
DType joined(DType a, DType b) {
  if (a == b) return a;
  if (kind_of(a) != kind_of(b)) return kind_of(a) > kind_of(b) ? a : b;
  if (kind_of(a) == 2) {
    const bool both_narrow = ir::size_of(a) == 2 && ir::size_of(b) == 2;
    return both_narrow ? DType::f32 : ir::size_of(a) > ir::size_of(b) ? a : b;
  }
  if (ir::size_of(a) == ir::size_of(b)) return DType::i16;  // u8 and i8
  return ir::size_of(a) > ir::size_of(b) ? a : b;
}

}  // namespace

DType element_type_of(const Call& call, int64_t torch_number) {
  for (const TypeRow& row : types) {
    if (row.number == torch_number) return row.dtype;
  }
  call.refuse(fmt::format("torch's element type {} has no counterpart", torch_number));
}

int64_t torch_number_of(DType dtype) {
  const auto* row =
      std::find_if(std::begin(types), std::end(types), [&](const TypeRow& t) { return t.dtype == dtype; });
  return row == std::end(types) ? types[0].number : row->number;
}

DType common_type(const Call& call, const Items& items) {
  // Of tensors with axes, of those without, of numbers.
  std::optional<DType> ranks[3];
  const auto join = [&](size_t rank, DType dtype) { ranks[rank] = ranks[rank] ? joined(*ranks[rank], dtype) : dtype; };
  for (const Item& item : items) {
    if (const auto* tensor = item.as<Tensor>())
      join(call.rank(tensor->value) > 0 ? 0 : 1, call.dtype(tensor->value));
    else if (item.as<double>() != nullptr)
      join(2, DType::f32);
    else if (item.as<bool>() != nullptr)
      join(2, DType::boolean);
    else if (item.as<Integer>() != nullptr)
      join(2, DType::i64);
  }
  std::optional<DType> result;
  for (const auto& next : ranks) {
    if (!next) continue;
    if (!result || kind_of(*next) > kind_of(*result)) result = *next;
  }
  return result.value_or(DType::f32);
}

std::vector<ValueId> promoted(const Call& call, const Items& items) {
  const DType dtype = common_type(call, items);
  std::vector<ValueId> values;
  for (const Item& item : items) {
    const auto number = item.as<Tensor>() == nullptr ? call.known_number(item) : std::nullopt;
    values.push_back(number ? call.scalar(*number, dtype) : call.cast(call.tensor_of(item), dtype));
  }
  return values;
}

}  // namespace onnxport::script

// SPDX-License-Identifier: Apache-2.0
#include "core/tensor/dtype.hpp"

namespace onnxport::ir {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t bytes;
};
constexpr DTypeRow dtypes[] = {
    {DType::f32, "f32", 4},       {DType::u8, "u8", 1},
    {DType::i8, "i8", 1},         {DType::u16, "u16", 2},
    {DType::i16, "i16", 2},       {DType::i32, "i32", 4},
    {DType::i64, "i64", 8},       {DType::boolean, "bool", 1},
    {DType::f16, "f16", 2},       {DType::f64, "f64", 8},
    {DType::u32, "u32", 4},       {DType::u64, "u64", 8},
    {DType::bf16, "bf16", 2},     {DType::f8e4m3fn, "f8e4m3fn", 1},
    {DType::f8e5m2, "f8e5m2", 1},
};
const DTypeRow* row_of(DType dtype) {
  for (const DTypeRow& row : dtypes) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

}  // namespace

size_t size_of(DType dtype) {
  const DTypeRow* row = row_of(dtype);
  return row == nullptr ? 0 : row->bytes;
}
std::string_view name_of(DType dtype) {
  const DTypeRow* row = row_of(dtype);
  return row == nullptr ? "undefined" : row->name;
}
bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64 ||
         dtype == DType::f8e4m3fn || dtype == DType::f8e5m2;
}

}  // namespace onnxport::ir

// SPDX-License-Identifier: Apache-2.0
// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace onnxport::ir {

/// Element types; the numbers are those of onnx.TensorProto.DataType and of the ABI.
enum class DType : int32_t {
  undefined = 0,
  f32 = 1,
  u8 = 2,
  i8 = 3,
  u16 = 4,
  i16 = 5,
  i32 = 6,
  i64 = 7,
  boolean = 9,
  f16 = 10,
  f64 = 11,
  u32 = 12,
  u64 = 13,
  bf16 = 16,
  f8e4m3fn = 17,
  f8e5m2 = 19,
};

/// Bytes of one element; 0 for undefined.
size_t size_of(DType dtype);
/// "f32", "i64", ...
std::string_view name_of(DType dtype);
bool is_floating(DType dtype);

}  // namespace onnxport::ir

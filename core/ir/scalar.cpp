// SPDX-License-Identifier: Apache-2.0
#include "core/ir/scalar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"

namespace onnxport::ir {
namespace {

template <class Integer>
Tensor integer_scalar(double value, DType dtype) {
  using Limits = std::numeric_limits<Integer>;
  // The largest of 64 bits is no double: the next one above it would not convert.
  Integer number = static_cast<double>(Limits::max()) <= value ? Limits::max() : Limits::min();
  if (static_cast<double>(Limits::min()) < value && value < static_cast<double>(Limits::max()))
    number = static_cast<Integer>(value);
  return Tensor::of<Integer>(dtype, {}, {number});
}

}  // namespace

double bound_of(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return 0x1.ff8p15;
    case DType::bf16:
      return 0x1.fcp127;
    case DType::f64:
      return std::numeric_limits<double>::max();
    default:
      return std::numeric_limits<float>::max();
  }
}

Tensor float_scalar(double value, DType dtype) {
  if (!is_floating(dtype)) throw Error(Failure::internal, "a number with a fraction as " + std::string(name_of(dtype)));
  if (dtype == DType::f64) return Tensor::of<double>(dtype, {}, {value});
  const double bound = bound_of(dtype);
  const auto bounded = static_cast<float>(std::isfinite(value) ? std::clamp(value, -bound, bound) : value);
  Tensor scalar{dtype, {}, std::vector<std::byte>(size_of(dtype))};
  convert_elements(DType::f32, reinterpret_cast<const std::byte*>(&bounded), dtype, scalar.data.data(), 1);
  return scalar;
}

Tensor scalar(double value, DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return Tensor::of<uint8_t>(dtype, {}, {static_cast<uint8_t>(value != 0)});
    case DType::u8:
      return integer_scalar<uint8_t>(value, dtype);
    case DType::i8:
      return integer_scalar<int8_t>(value, dtype);
    case DType::u16:
      return integer_scalar<uint16_t>(value, dtype);
    case DType::i16:
      return integer_scalar<int16_t>(value, dtype);
    case DType::u32:
      return integer_scalar<uint32_t>(value, dtype);
    case DType::i32:
      return integer_scalar<int32_t>(value, dtype);
    case DType::u64:
      return integer_scalar<uint64_t>(value, dtype);
    case DType::i64:
      return integer_scalar<int64_t>(value, dtype);
    default:
      return float_scalar(value, dtype);
  }
}

}  // namespace onnxport::ir
